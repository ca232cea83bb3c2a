"""The records of one benchmark with the files they stand in, and why a table does not count one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.data.copies import on_copies
from gcnnbench.errors import UserError
from gcnnbench.leaderboard.frame import current_digests, excluded
from gcnnbench.leaderboard.reading import Run, run
from gcnnbench.runs.files import File, read_files
from gcnnbench.runs.record import Record


@dataclass(frozen=True)
class StoredRecord:
    """One record below a results directory. `excluded` says why no table counts it; null where one does."""

    place: Path
    sha256: str
    record: Record
    run: Run
    excluded: str | None


def stored_records(registry: Registry, results: Path, card: BenchmarkCard) -> list[StoredRecord]:
    """Every record of a benchmark, of whatever version, in the order of entries and seeds.

    Args:
        registry: holds the models, from which the current spec digests are made.
        results: the results directory.
        card: the benchmark.

    Raises:
        UserError: a record's counts have no metrics.
    """
    return all_records(registry, results, [card])[card.full_name]


def all_records(
    registry: Registry, results: Path, cards: Sequence[BenchmarkCard] | None = None
) -> dict[str, list[StoredRecord]]:
    """The records of these benchmarks, or of all versions of all, by `name@version`; each file is read once.

    Raises:
        UserError: a record's counts have no metrics.
    """
    registry = on_copies(registry, results)
    chosen = tuple(registry.versions().values()) if cards is None else cards
    expected = current_digests(registry, chosen)
    found: dict[str, list[StoredRecord]] = {card.full_name: [] for card in chosen}
    for file in read_files(results, of={card.name for card in chosen}):
        if not isinstance(file.content, Record):
            continue
        for card in chosen:
            if file.place.parts[0].partition("@")[0] == card.name:
                found[card.full_name].append(_kept(file, file.content, card, expected, results))
    return {
        name: sorted(here, key=lambda kept: (kept.run.entry, kept.run.seed, kept.place)) for name, here in found.items()
    }


def _kept(
    file: File, record: Record, card: BenchmarkCard, expected: Mapping[tuple[str, str], str], results: Path
) -> StoredRecord:
    try:
        made = run(record, file.kind, card)
    except ValueError as error:
        raise UserError(f"{results / file.place}: {error}; see gcnnbench verify records") from None
    return StoredRecord(file.place, file.sha256, record, made, excluded(made, card, expected)[0])


def counted(kept: Sequence[StoredRecord]) -> dict[str, list[StoredRecord]]:
    """The records that tables count, by entry.

    Raises:
        UserError: those of an entry are of several numeric modes, which share no mean.
    """
    found: dict[str, list[StoredRecord]] = defaultdict(list)
    for one in kept:
        if one.excluded is None:
            found[one.run.entry].append(one)
    for entry, here in found.items():
        modes = sorted({one.run.numeric_mode for one in here})
        if len(modes) > 1:
            raise UserError(f"the records of {entry} are of several numeric modes ({', '.join(modes)}): no common mean")
    return dict(found)
