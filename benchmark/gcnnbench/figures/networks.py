"""The networks of a benchmark as figures show them: entry, equivariance, and the records that tables count."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.leaderboard.reading import EquivarianceName
from gcnnbench.leaderboard.records import StoredRecord, counted, stored_records
from gcnnbench.runs.record import Record

ORDER = ("exact", "approximate", "none", "unknown")


@dataclass(frozen=True)
class Network:
    """An entry of a benchmark. Its equivariance is measured; where it has no record, what its card claims."""

    entry: str
    equivariance: EquivarianceName
    records: tuple[Record, ...]

    @property
    def label(self) -> str:
        """`p4cnn@28, exact`."""
        return f"{self.entry}, {'not equivariant' if self.equivariance == 'none' else self.equivariance}"


def networks(registry: Registry, results: Path, card: BenchmarkCard) -> list[Network]:
    """Every entry of a benchmark with its records: the exact ones first, then approximate ones, then the others.

    Raises:
        UserError: records cannot be used, or are of several numeric modes.
    """
    return networks_of(registry, card, stored_records(registry, results, card))


def networks_of(registry: Registry, card: BenchmarkCard, kept: Sequence[StoredRecord]) -> list[Network]:
    """The same from the records of the benchmark, where they have been read.

    Raises:
        UserError: records are of several numeric modes.
    """
    by_entry = counted(kept)
    found = []
    for entry in card.entries:
        here = by_entry.get(entry, [])
        measured: set[EquivarianceName] = {one.run.equivariance for one in here}
        verdict = _claimed(registry, entry) if not here else measured.pop() if len(measured) == 1 else "unknown"
        found.append(Network(entry, verdict, tuple(one.record for one in here)))
    return sorted(found, key=lambda network: ORDER.index(network.equivariance))


def _claimed(registry: Registry, entry: str) -> EquivarianceName:
    slug, size = split_entry(entry)
    card = registry.model(slug)
    if card.group == "trivial":
        return "none"
    return "exact" if size in card.exact_at else "approximate" if size in card.approximate_at else "unknown"
