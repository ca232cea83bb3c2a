"""What a source says of its protocol, line by line, beside what this suite does: the audit of a re-implementation.

A table stands in `registry/protocols/SOURCE.yaml`. Each line has its evidence, a place that can be looked up, or is an
assumption by name. What a machine can compare is said a second time as numbers: parameters, the distribution of the
first weights, the layers in order and the learning rate of every epoch; the tests compare it for every entry.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from gcnnbench.cards.base import EntryName, Model, Name, Some, Text, broken_rule
from gcnnbench.cards.card_files import REGISTRY
from gcnnbench.cards.messages import choice
from gcnnbench.cards.reading import CardFile, Finding, open_cards
from gcnnbench.cards.registry import Registry
from gcnnbench.cards.values import Positive
from gcnnbench.claims.assumptions import assumptions
from gcnnbench.claims.claims import WHERE

FOLDER = REGISTRY / "protocols"

Item = Literal[
    "data",
    "resampling",
    "split",
    "normalisation",
    "initialisation",
    "layers",
    "padding",
    "optimiser",
    "weight-decay",
    "schedule",
    "batches",
    "loss",
    "augmentation",
    "model-tested",
    "evaluation",
    "streams",
    "numeric-mode",
]
"""What every table says something of, in this order."""


def _looked_up(evidence: str) -> str:
    if not WHERE.fullmatch(evidence) and not evidence.startswith("derived: "):
        raise broken_rule(f"'{evidence}' cannot be looked up; write OWNER/REPOSITORY@COMMIT:PATH, or derived: and how")
    return evidence


class Line(Model):
    """One line of a table: what the source says, what the suite does, and how the former is known.

    `of` restricts it to some of the table's benchmarks. Without evidence it is an assumption of the benchmark's card or
    of a model's.
    """

    item: Item
    of: tuple[Name, ...] | None = None
    says: Text
    suite: Text
    evidence: Annotated[Text, AfterValidator(_looked_up)] | None = None
    assumption: Name | None = None

    @model_validator(mode="after")
    def _known_or_assumed(self) -> Self:
        if self.evidence is None and self.assumption is None:
            raise broken_rule(f"{self.item} has no evidence, so it is an assumption: give its name", "item")
        return self


class FirstWeights(Model):
    """How parameters are drawn; `scale` is the bound of a uniform and the deviation of a normal distribution.

    `in` and `out` are channels without the group, k the width of the kernel; the fan-in is what one output sees, the
    group included.
    """

    draw: Literal["uniform", "normal", "truncated-normal", "zero"]
    scale: Literal["1/√(in·k²)", "1/√fan-in", "√(2/(out·k²))", "√(2/fan-in)", "√(6/(in+out))"] | float | None = None


class Layers(Model):
    """Layers one after another, all of them several times."""

    of: Annotated[tuple[Text, ...], Field(min_length=1)]
    times: Positive = 1


class Rate(Model):
    """The learning rate from this epoch on, counted from 1."""

    epoch: Positive
    rate: Annotated[float, Field(gt=0)]


class PublishedNetwork(Model):
    """One network of a source, as its code or its logs have it; `parameters` is 0 where no number is published.

    Layers are written as `conv 3 s2 p1` (kernel, stride, padding), `norm`, `relu`, `dropout 0.3`, `max-pool 2`,
    `average-pool 2`, `mean`, `max`, `coset max`, `coset mean`, `linear`; those of a residual branch, of its shortcut
    and of a dense block say so first. `deviates` says how the suite draws first weights where it does so otherwise.
    """

    entries: Some[EntryName]
    parameters: Annotated[float, Field(ge=0)]
    parameters_in: Literal["count", "thousands", "millions"] = "count"
    first_weights: dict[Literal["convolution", "bias", "linear"], FirstWeights]
    deviates: dict[Literal["convolution", "bias", "linear"], FirstWeights] = Field(default_factory=dict)
    layers: Annotated[tuple[Layers, ...], Field(min_length=1)]


class ProtocolTable(Model):
    """The protocol of some benchmarks; `own_entries` are this suite's and of no source.

    `rates` are the learning rates by epoch; none where an assumption stands in for them.
    """

    title: Text
    benchmarks: Some[Name]
    own_entries: tuple[EntryName, ...] = ()
    lines: tuple[Line, ...]
    rates: tuple[Rate, ...]
    networks: Annotated[tuple[PublishedNetwork, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _every_item(self) -> Self:
        for benchmark in self.benchmarks:
            items = [line.item for line in self.lines_of(benchmark)]
            if items != list(get_args(Item)):
                wanted = ", ".join(get_args(Item))
                raise broken_rule(f"{benchmark} must have one line each, in this order: {wanted}", "lines")
        return self

    def lines_of(self, benchmark: str) -> list[Line]:
        """The lines that speak of one benchmark."""
        return [line for line in self.lines if line.of is None or benchmark in line.of]


class ProtocolCard(Model):
    """The tables of one source."""

    source: Name
    tables: Annotated[tuple[ProtocolTable, ...], Field(min_length=1)]


def read_protocols(registry: Registry, folder: Path = FOLDER) -> list[ProtocolCard]:
    """All protocol tables, in the order of their sources.

    Raises:
        CardsError: any is wrong, or names a source, benchmark, entry or assumption that is not there; all at once.
    """
    return open_cards(protocol_files(folder), ProtocolCard, lambda file: _cross_check(file, registry))


def protocol_files(folder: Path = FOLDER) -> list[Path]:
    """The registered protocol tables in the order of their sources."""
    return sorted(folder.glob("*.yaml"))


def tables_of(cards: Sequence[ProtocolCard], benchmark: str) -> list[tuple[str, ProtocolTable]]:
    """The tables that speak of one benchmark, each with its source."""
    return [(card.source, table) for card in cards for table in card.tables if benchmark in table.benchmarks]


def _cross_check(file: CardFile[ProtocolCard], registry: Registry) -> Iterator[Finding]:
    card = file.card
    if card.source != file.path.stem or card.source not in registry.bibliography:
        yield file.error(("source",), f"'{card.source}' must be in references.bib, and the file's name")
    for place, table in enumerate(card.tables):
        at = ("tables", place)
        known: set[str] = set()
        for name in table.benchmarks:
            if name not in registry.benchmarks:
                near = choice(name, sorted(registry.benchmarks))
                yield file.error((*at, "benchmarks"), f"there is no benchmark '{name}'; {near}")
                continue
            benchmark = registry.benchmarks[name]
            known |= set(benchmark.entries)
            assumed = assumptions(registry, benchmark, benchmark.entries)
            for line in table.lines_of(name):
                if line.assumption is not None and line.assumption not in assumed:
                    near = choice(line.assumption, sorted(assumed))
                    yield file.error((*at, "lines"), f"{name} has no assumption '{line.assumption}'; {near}")
        told = [*table.own_entries, *(entry for network in table.networks for entry in network.entries)]
        for entry in sorted(known ^ set(told)):
            what = (
                "is neither a network of the source nor an own entry"
                if entry in known
                else f"is no entry of {', '.join(table.benchmarks)}"
            )
            yield file.error((*at, "networks"), f"{entry} {what}")
