"""What a model card may say: the network, its symmetry, its hyper-parameters and its counts."""

from __future__ import annotations

import keyword
from itertools import combinations
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, model_validator

from gcnnbench.cards.base import (
    Assumption,
    Channels,
    Classes,
    Described,
    Each,
    Hyperparameter,
    Identifier,
    Line,
    Model,
    Name,
    Requirement,
    Size,
    Some,
    Text,
    Version,
    broken_rule,
)
from gcnnbench.cards.elements import GroupName
from gcnnbench.cards.values import Positive

BUILD_ARGUMENTS = ("size", "channels", "classes")
"""What `build` is given beside the hyper-parameters."""


def _free(name: str) -> str:
    """A name that `build` can take beside its own arguments."""
    if name in BUILD_ARGUMENTS:
        raise broken_rule(f"{name} is given to build by the benchmark; choose another name")
    if keyword.iskeyword(name):
        raise broken_rule(f"{name} is a word of Python, which no argument can be called; choose another name")
    return name


HyperparameterName = Annotated[Identifier, AfterValidator(_free)]


class ParameterCount(Model):
    """The number of trainable parameters of one configuration, and the multiply-accumulates of one image through it."""

    channels: Channels
    classes: Classes
    size: Size
    count: Positive
    published: Positive | None = None
    macs: Positive | None = None


class Entering(Model):
    """A benchmark that a model enters by its own card, at these input sizes."""

    benchmark: Name
    sizes: Some[Size]


class ModelCard(Described):
    """A network: a folder `models/<name>` with this card and a `model.py` that has `build`."""

    model_version: Version
    authors: Some[Line]
    licence: Line
    group: GroupName
    exact_at: Each[Size] = ()
    approximate_at: Each[Size] = ()
    learnt_at: Each[Size] = ()
    """Sizes at which the network can be exact and need not: how much symmetry it has is learnt."""
    smallest_size: Size | None = None
    """The smallest input that `build` takes: below it some layer would have no pixel left. Null where nobody says."""
    hyperparameters: dict[HyperparameterName, Hyperparameter]
    parameters: Some[ParameterCount]
    requires: Each[Requirement] = ()
    deviations: tuple[Text, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    enters: tuple[Entering, ...] | None = None
    citation: Text | None = None
    trained_on: Text | None = None
    """What the weights beside the card were trained on: such a network is scored, never trained here."""

    @model_validator(mode="after")
    def _one_count_a_configuration(self) -> Self:
        seen: set[tuple[int, int, int]] = set()
        for index, one in enumerate(self.parameters):
            configuration = (one.channels, one.classes, one.size)
            if configuration in seen:
                where = "{} channels, {} classes, size {}".format(*configuration)
                raise broken_rule(f"a second count for {where}; state one", "parameters", index)
            seen.add(configuration)
        return self

    @model_validator(mode="after")
    def _claims_fit_the_group(self) -> Self:
        claims = {name: getattr(self, name) for name in ("exact_at", "approximate_at", "learnt_at")}
        for first, second in combinations(claims, 2):
            both = sorted(set(claims[first]) & set(claims[second]))
            if both:
                rule = f"{both[0]} stands in {first} and in {second}; a size is one or the other"
                raise broken_rule(rule, second, claims[second].index(both[0]))
        if self.group == "trivial" and self.claimed_at:
            rule = "the group is trivial, so exact_at, approximate_at and learnt_at must be left out"
            raise broken_rule(rule, next(name for name in claims if claims[name]))
        if self.group != "trivial" and not self.claimed_at:
            rule = f"the group is {self.group}, so exact_at, approximate_at or learnt_at must name at least one size"
            raise broken_rule(rule, "group")
        return self

    @model_validator(mode="after")
    def _sizes_are_not_too_small(self) -> Self:
        """No claim and no count is of an input that the network does not take."""
        claims = ("exact_at", "approximate_at", "learnt_at")
        stated: list[tuple[int, tuple[str | int, ...]]] = [
            (size, (name, index)) for name in claims for index, size in enumerate(getattr(self, name))
        ]
        stated += [(one.size, ("parameters", index, "size")) for index, one in enumerate(self.parameters)]
        for size, place in stated:
            if (rule := self.too_small(size)) is not None:
                raise broken_rule(rule, *place)
        return self

    def too_small(self, size: int) -> str | None:
        """Why the network does not take images of a size; null where it does, or where the card does not say."""
        if self.smallest_size is None or size >= self.smallest_size:
            return None
        return f"size {size} is too small for {self.name}, which takes {self.smallest_size} pixels and more"

    @property
    def claimed_at(self) -> tuple[int, ...]:
        """Every size about which the card claims something."""
        return (*self.exact_at, *self.approximate_at, *self.learnt_at)

    def count_at(self, channels: int, classes: int, size: int) -> ParameterCount | None:
        """What the card states of one configuration; null where it has none."""
        wanted = (channels, classes, size)
        return next((one for one in self.parameters if (one.channels, one.classes, one.size) == wanted), None)

    def claim_at(self, size: int) -> Literal["exact", "approximate", "learnt"] | None:
        """What the card claims at a size."""
        if size in self.learnt_at:
            return "learnt"
        return "exact" if size in self.exact_at else "approximate" if size in self.approximate_at else None
