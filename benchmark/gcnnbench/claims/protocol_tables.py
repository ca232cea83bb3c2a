"""What a source says of its protocol, line by line, beside what this suite does: the audit of a re-implementation.

A table stands in `registry/protocols/SOURCE.yaml`. Each line has its evidence, a place that can be looked up, or is an
assumption by name, and every assumption of a card has its line. What a machine can compare is said a second time as
numbers: parameters, the distribution of the first weights, the layers in order and the learning rate of every epoch;
the tests compare it for every entry. The table of a source whose numbers are shown beside those of a benchmark that
follows another has the lines alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from gcnnbench.cards.base import Model, Name, Some, Text, broken_rule
from gcnnbench.cards.card_files import REGISTRY
from gcnnbench.cards.messages import choice
from gcnnbench.cards.reading import CardFile, Finding, open_cards
from gcnnbench.cards.registry import Registry
from gcnnbench.cards.values import Positive
from gcnnbench.claims.assumptions import assumptions
from gcnnbench.claims.claims import WHERE
from gcnnbench.claims.protocol_networks import OwnEntry, PublishedNetwork

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


def _done(suite: str) -> str:
    if re.search(r"\bcard\b", suite):
        raise broken_rule(f"'{suite}' sends the reader to a card; write what the suite does")
    return suite


class Line(Model):
    """One line of a table: what the source says, what the suite does, and how the former is known.

    `of` restricts it to some of the table's benchmarks. Without evidence it is an assumption of the benchmark's card or
    of a model's.
    """

    item: Item
    of: tuple[Name, ...] | None = None
    says: Text
    suite: Annotated[Text, AfterValidator(_done)]
    evidence: Annotated[Text, AfterValidator(_looked_up)] | None = None
    assumption: Name | None = None

    @model_validator(mode="after")
    def _known_or_assumed(self) -> Self:
        if self.evidence is None and self.assumption is None:
            raise broken_rule(f"{self.item} has no evidence, so it is an assumption: give its name", "item")
        return self


class Rate(Model):
    """The learning rate from the first step of this epoch on, counted from 1."""

    epoch: Positive
    rate: Annotated[float, Field(gt=0)]


class ProtocolTable(Model):
    """The protocol of some benchmarks, which they follow; `own_entries` are this suite's and of no source.

    `rates` are the learning rates by epoch, of `steps_per_epoch` where the schedule is stepped after every batch;
    `rates_assumed` names the assumption by which they are the source's, where it does not say them. `not_followed` says
    of which other protocol the benchmarks are: then nothing is compared by machine.
    """

    title: Text
    benchmarks: Some[Name]
    not_followed: Text | None = None
    own_entries: tuple[OwnEntry, ...] = ()
    lines: tuple[Line, ...]
    rates: tuple[Rate, ...] = ()
    rates_assumed: Name | None = None
    steps_per_epoch: Positive = 1
    networks: tuple[PublishedNetwork, ...] = ()

    @model_validator(mode="after")
    def _compared_where_followed(self) -> Self:
        compared = bool(self.networks), bool(self.rates)
        if self.not_followed is None and compared != (True, True):
            raise broken_rule("a protocol that is followed has networks and rates to compare", "benchmarks")
        if self.not_followed is not None and (any(compared) or self.own_entries):
            raise broken_rule("of a protocol that is not followed nothing is compared but the lines", "not_followed")
        if self.rates_assumed is not None and self.rates_assumed not in {line.assumption for line in self.lines}:
            raise broken_rule(f"no line has the assumption '{self.rates_assumed}'", "rates_assumed")
        return self

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
            told = {line.assumption for line in table.lines_of(name) if line.assumption is not None}
            for assumption in sorted(told - assumed.keys()):
                near = choice(assumption, sorted(assumed))
                yield file.error((*at, "lines"), f"{name} has no assumption '{assumption}'; {near}")
            for assumption in sorted(assumed.keys() - told) if table.not_followed is None else ():
                yield file.error((*at, "lines"), f"no line names {name}'s assumption '{assumption}'")
        own = [one.entry for one in table.own_entries]
        listed = {*own, *(entry for network in table.networks for entry in network.entries)}
        for entry in sorted(known ^ listed) if table.not_followed is None else ():
            what = (
                "is neither a network of the source nor an own entry"
                if entry in known
                else f"is no entry of {', '.join(table.benchmarks)}"
            )
            yield file.error((*at, "networks"), f"{entry} {what}")
