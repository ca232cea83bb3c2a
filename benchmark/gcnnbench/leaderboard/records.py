"""The records of one benchmark with the files they stand in, and why a table does not count one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gcnnbench.cards.registry import Registry
from gcnnbench.cards.schema import BenchmarkCard
from gcnnbench.data.copies import on_copies
from gcnnbench.errors import UserError
from gcnnbench.leaderboard.frame import excluded
from gcnnbench.leaderboard.reading import Run, run
from gcnnbench.runs.files import read_files
from gcnnbench.runs.record import Record
from gcnnbench.runs.spec import spec, spec_digest


@dataclass(frozen=True)
class Kept:
    """One record below a results directory. `excluded` says why no table counts it; null where one does."""

    place: Path
    sha256: str
    record: Record
    run: Run
    excluded: str | None


def kept_records(registry: Registry, results: Path, card: BenchmarkCard) -> list[Kept]:
    """Every record of a benchmark, of whatever version, in the order of entries and seeds.

    Args:
        registry: holds the models, from which the current spec digests are made.
        results: the results directory.
        card: the benchmark.

    Raises:
        UserError: a record's counts have no metrics.
    """
    registry = on_copies(registry, results)
    expected = {(card.full_name, entry): spec_digest(spec(registry, card, entry)) for entry in card.entries}
    found = []
    for file in read_files(results):
        if not isinstance(file.content, Record) or file.place.parts[0].partition("@")[0] != card.name:
            continue
        try:
            made = run(file.content, file.kind, card)
        except ValueError as error:
            raise UserError(f"{results / file.place}: {error}; see gcnnbench verify records") from None
        found.append(Kept(file.place, file.sha256, file.content, made, excluded(made, card, expected)[0]))
    return sorted(found, key=lambda kept: (kept.run.entry, kept.run.seed, kept.place))


def counted(kept: Sequence[Kept]) -> dict[str, list[Kept]]:
    """The records that tables count, by entry.

    Raises:
        UserError: those of an entry are of several numeric modes, which share no mean.
    """
    found: dict[str, list[Kept]] = defaultdict(list)
    for one in kept:
        if one.excluded is None:
            found[one.run.entry].append(one)
    for entry, here in found.items():
        modes = sorted({one.run.numeric_mode for one in here})
        if len(modes) > 1:
            raise UserError(f"the records of {entry} are of several numeric modes ({', '.join(modes)}): no common mean")
    return dict(found)
