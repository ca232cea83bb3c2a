"""What a source says of its networks, as numbers that a machine compares with ours: weights, layers, parameters."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gcnnbench.cards.base import EntryName, Model, Name, Some, Text, broken_rule
from gcnnbench.cards.values import Positive


class FirstWeights(Model):
    """How parameters are drawn; `scale` is the bound of a uniform and the deviation of a normal distribution.

    A truncated normal is cut at two deviations; `scale` is that before the cut, which leaves 0.88 of it. `in` and `out`
    are channels without the group, k the width of the kernel; the fan-in is what one output sees, the group included.
    With `identity` the first filters, as many as there are channels, pass their own channel on. What is `fitted` is
    computed from training images.
    """

    draw: Literal["uniform", "normal", "truncated-normal", "fitted", "zero"]
    scale: Literal["1/√(in·k²)", "1/√fan-in", "√(2/(out·k²))", "√(2/fan-in)", "√(6/(in+out))"] | float | None = None
    identity: bool = False


class Layers(Model):
    """Layers one after another, all of them several times."""

    of: Annotated[tuple[Text, ...], Field(min_length=1)]
    times: Positive = 1


Parameters = Literal["convolution", "bias", "linear", "linear-bias", "stem"]
"""Weights and biases of convolutions, linear layers, and the first convolution where it has a rule of its own.

A linear layer's bias without one of its own is drawn as the weight where that is uniform, and is zero elsewhere.
"""


class PublishedNetwork(Model):
    """One network of a source, as its code or its logs have it.

    Its number of parameters is printed in its source, or counted from its code or logs, layer by layer; where neither
    can be had, `parameters_unknown` says why. Layers are written as `conv 3 s2 p1` (kernel, stride, padding), `norm`,
    `relu`, `gelu`, `dropout 0.3`, `max-pool 2` (`s1` where its stride is another), `average-pool 2`, `mean`, `max`,
    `coset max`, `coset mean`, `linear`; those of a residual branch, of its shortcut and of a dense block say so first.
    `deviates` says how the suite draws first weights where it does so otherwise, `instead` which layers it has in the
    place of one of the source's, or of several in a row, `norm, relu`.
    """

    entries: Some[EntryName]
    parameters: Annotated[float, Field(gt=0)] | None = None
    parameters_in: Literal["count", "thousands", "millions"] = "count"
    parameters_are: Literal["printed", "counted"] = "printed"
    parameters_unknown: Text | None = None
    first_weights: dict[Parameters, FirstWeights]
    deviates: dict[Parameters, FirstWeights] = Field(default_factory=dict)
    layers: Annotated[tuple[Layers, ...], Field(min_length=1)]
    instead: dict[str, tuple[Text, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _counted_or_said_why_not(self) -> Self:
        if (self.parameters is None) == (self.parameters_unknown is None):
            raise broken_rule("either parameters says how many, or parameters_unknown why that is not known", "entries")
        return self


class OwnEntry(Model):
    """An entry that is this suite's and no source's: the network that it derives from, and what it changes in it.

    It is built as the benchmarks of that network's table build it, its first weights are held to the same formulas, and
    it has as many parameters, or as many as `parameters` says. `not_compared` says why nothing of this can be asked.
    """

    entry: EntryName
    source: Name | None = None
    like: EntryName | None = None
    instead: dict[str, tuple[Text, ...]] = Field(default_factory=dict)
    parameters: Positive | None = None
    not_compared: Text | None = None

    @model_validator(mode="after")
    def _derived_or_said_why_not(self) -> Self:
        derived = self.source is not None and self.like is not None
        if derived == (self.not_compared is not None):
            rule = "either source and like name the network that it derives from, or not_compared says why none can be"
            raise broken_rule(rule, "entry")
        return self
