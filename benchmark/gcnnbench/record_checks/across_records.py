"""Checks across records: duplicated weights or counts, missing seeds, weights without a record."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.formatting import how_many, listed
from gcnnbench.record_checks.rows import RecordRow
from gcnnbench.runs.files import Kind
from gcnnbench.runs.record import Failure, Record
from gcnnbench.runs.spec import training_digests


@dataclass(frozen=True)
class _Cell:
    """Whose record it is, the losses and accuracies of its training, and the digest of its counts.

    The protocol is the benchmark's name, from which random streams are derived, and the digest of how it trains; the
    network is the entry and the digest of what is built. The version of the benchmark is no part of them: versions that
    train alike give one cell the same weights.
    """

    protocol: tuple[str, str]
    network: tuple[str, str]
    seed: int
    course: tuple[tuple[float | None, ...], ...]
    counts: str

    def is_same(self, other: _Cell) -> bool:
        """Whether both are the same training."""
        return (self.protocol, self.network, self.seed) == (other.protocol, other.network, other.seed)

    def trained_alike(self, other: _Cell) -> bool:
        """Whether two entries of a benchmark train alike and are scored otherwise, as a network and its average are."""
        same = (self.protocol, self.seed, self.course) == (other.protocol, other.seed, other.course)
        return same and self.network[0] != other.network[0] and self.counts != other.counts


class Cells:
    """What only shows between records: copies, and seeds that are missing below others.

    Args:
        current: the spec digest of today's protocol by (full name of the benchmark, entry). Records and failures of
            another one neither fill nor leave a gap; where no digest is known, all count.
    """

    def __init__(self, current: Mapping[tuple[str, str], str]) -> None:
        self.current = current
        self.accounted: set[tuple[str, str, int]] = set()
        """Seeds without a record of which a file says why: a failure, or one that cannot be read."""
        self.seeds: dict[tuple[str, str], set[int]] = defaultdict(set)
        self.weights: dict[str, list[tuple[str, _Cell]]] = defaultdict(list)
        self.contents: dict[str, list[tuple[str, _Cell]]] = defaultdict(list)

    def add(self, place: str, kind: Kind, record: Record) -> None:
        """Take note of a record and where it stands."""
        counts = hashlib.sha256(record.counts.model_dump_json().encode()).hexdigest()
        course = tuple((one.train_loss, one.train_accuracy, one.train_penalty) for one in record.training.history)
        trained, built = training_digests(record.spec)
        protocol, network = (record.benchmark.partition("@")[0], trained), (record.entry, built)
        cell = _Cell(protocol, network, record.seed, course, counts)
        if kind == "seed" and self._is_current(record):
            self.seeds[record.benchmark, record.entry].add(record.seed)
        self.weights[record.weights.sha256].append((place, cell))
        self.contents[counts + record.entry].append((place, cell))

    def add_failure(self, failure: Failure) -> None:
        """Take note of a cell that ended without a record; a failure with `--limit` excuses nothing."""
        if failure.official and self._is_current(failure):
            self.accounted.add((failure.benchmark, failure.entry, failure.seed))

    def _is_current(self, content: Record | Failure) -> bool:
        return self.current.get((content.benchmark, content.entry), content.spec_digest) == content.spec_digest

    def compared(self, rows: Sequence[RecordRow], protocol_seeds: Mapping[str, int]) -> list[RecordRow]:
        """The rows, those refused whose weights or counts another cell has, too; the last seed says what is to come.

        Args:
            rows: one for each file.
            protocol_seeds: the number of seeds by full name of the benchmark.
        """
        copies: dict[str, list[str]] = defaultdict(list)
        for what, groups in (("weights", self.weights), ("counts", self.contents)):
            for group in groups.values():
                for place, cell in group:
                    others = [other for other, its in group if not (its.is_same(cell) or its.trained_alike(cell))]
                    if others:
                        copies[place].append(f"{what}: the same as those of {others[0]}, a cell of its own")
        later = dict(self.to_come(protocol_seeds))
        return [
            replace(
                row,
                grade="refused" if row.id in copies else row.grade,
                findings=row.findings + tuple(copies[row.id]),
                notes=row.notes + later.get(row.id, ()),
            )
            for row in rows
        ]

    def to_come(self, protocol_seeds: Mapping[str, int]) -> Iterator[tuple[str, tuple[str]]]:
        """The last seed of each entry that has not all seeds of the protocol yet, and which it lacks.

        Seeds are run from 0 upwards, so what is missing at the end is only not run yet, and no fault.
        """
        for (benchmark, entry), seeds in self.seeds.items():
            last, asked = max(seeds), protocol_seeds.get(benchmark, 0)
            left = [s for s in range(last + 1, asked) if (benchmark, entry, s) not in self.accounted]
            if left:
                told = f"{len(seeds)} of {how_many(asked, 'seed')}: {listed(tuple(left))} not run yet"
                yield f"{benchmark}/{entry}/seed-{last}.json", (told,)

    def gaps(self, cards: Mapping[str, BenchmarkCard]) -> Iterator[tuple[str, str]]:
        """Entries that lack seeds below the highest one they have, unless these failed, and how to run them.

        Args:
            cards: the benchmarks by full name; no command is told for another one.
        """
        for (benchmark, entry), seeds in sorted(self.seeds.items()):
            lacking = [s for s in range(max(seeds)) if s not in seeds and (benchmark, entry, s) not in self.accounted]
            if lacking:
                told = listed(tuple(lacking))
                why = "missing below others and not failed: seeds are all run, none is picked"
                options = f" --entry {entry} --seeds {','.join(map(str, lacking))}"
                how = f"; {cards[benchmark].how_to_run(options)}" if benchmark in cards else ""
                yield f"{benchmark}/{entry}", f"{told} {why}{how}"


def orphans(results: Path) -> Iterator[str]:
    """Weights beside which there is no record."""
    for path in sorted(results.glob("*@*/*@*/*.safetensors")):
        if not path.with_suffix(".json").exists():
            yield f"{path.relative_to(results)}: weights without a record"
