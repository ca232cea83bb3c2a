"""Looks up what `show` prints beside a card: its records, its claims, its current spec digests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gcnnbench.cards.base import Described, split_entry
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.data.copies import lacks_digests, on_copies
from gcnnbench.formatting import how_many

if TYPE_CHECKING:
    from gcnnbench.runs.record import Record


@dataclass(frozen=True)
class Made:
    """The official records of one entry of a benchmark, by the protocol in force."""

    benchmark: str
    entry: str
    seeds: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True)
class Claimed:
    """A published number, curve or statement that records of a benchmark speak to."""

    source: str
    id: str
    benchmark: str
    quantity: str
    printed: str


@dataclass(frozen=True)
class ProtocolLine:
    """One line of a source's protocol table that speaks of a benchmark, which follows it or another."""

    source: str
    followed: bool
    item: str
    says: str
    suite: str
    evidence: str | None
    assumption: str | None


@dataclass(frozen=True)
class CardBackground:
    """What stands beside a card; `digests` maps the entries of a benchmark to their spec digests.

    A digest is null where the data set has no canonical copy and none has been settled on in the results directory.
    """

    runs: tuple[Made, ...]
    claims: tuple[Claimed, ...]
    digests: Mapping[str, str | None]
    protocol: tuple[ProtocolLine, ...] = ()


def background_of(registry: Registry, card: Described, results: Path) -> CardBackground:
    """Look up what stands beside a card.

    Raises:
        UserError: a claims card or a recorded copy is wrong.
    """
    from gcnnbench.runs.spec import spec, spec_digest

    digests: dict[str, str | None] = {}
    if isinstance(card, BenchmarkCard):
        here = on_copies(registry, results)
        open_ = lacks_digests(here.dataset(card.dataset))
        digests = {entry: None if open_ else spec_digest(spec(here, card, entry)) for entry in card.entries}
    return CardBackground(_runs(registry, card, results), _claims(registry, card), digests, _protocol(registry, card))


def _protocol(registry: Registry, card: Described) -> tuple[ProtocolLine, ...]:
    if not isinstance(card, BenchmarkCard):
        return ()
    from gcnnbench.claims.protocol_tables import read_protocols, tables_of

    return tuple(
        ProtocolLine(
            source, table.not_followed is None, line.item, line.says, line.suite, line.evidence, line.assumption
        )
        for source, table in tables_of(read_protocols(registry), card.name)
        for line in table.lines_of(card.name)
    )


def _runs(registry: Registry, card: Described, results: Path) -> tuple[Made, ...]:
    from gcnnbench.runs.files import read_files
    from gcnnbench.runs.record import Record
    from gcnnbench.runs.spec import spec, spec_digest

    registry = on_copies(registry, results)
    found: dict[tuple[str, str], Made] = {}
    for file in read_files(results):
        record = file.content
        benchmark = registry.card_of(file.place.parts[0])
        if not isinstance(record, Record) or file.kind != "seed" or benchmark is None or not _about(card, record):
            continue
        if record.benchmark != benchmark.full_name or record.entry not in benchmark.entries:
            continue
        if record.spec_digest != spec_digest(spec(registry, benchmark, record.entry)):
            continue
        key = record.benchmark, record.entry
        seeds = found[key].seeds if key in found else ()
        found[key] = Made(*key, (*seeds, record.seed), record.cost.parameters, record.cost.macs)
    return tuple(found.values())


def _about(card: Described, record: Record) -> bool:
    """Whether a record is of the benchmark or the model."""
    if isinstance(card, BenchmarkCard):
        return record.benchmark == card.full_name
    return split_entry(record.entry)[0] == card.name


def _claims(registry: Registry, card: Described) -> tuple[Claimed, ...]:
    if not isinstance(card, BenchmarkCard):
        return ()
    from gcnnbench.claims.claims import CurveClaim, NumberClaim, StatementClaim
    from gcnnbench.claims.reading import read_claims

    found = []
    for source in read_claims(registry):
        for claim in source.claims:
            if claim.benchmark != card.name:
                continue
            if isinstance(claim, NumberClaim):
                found.append(Claimed(source.source, claim.id, card.name, claim.quantity, claim.printed))
            elif isinstance(claim, CurveClaim):
                points = how_many(len(claim.at), "point")
                found.append(Claimed(source.source, claim.id, card.name, claim.quantity, points))
            elif isinstance(claim, StatementClaim):
                found.append(Claimed(source.source, claim.id, card.name, "statement", claim.says))
    return tuple(found)
