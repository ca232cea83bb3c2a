"""Compares two results directories cell by cell: equal to the bit or not, and what made them differ."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from gcnnbench.cards.messages import choice
from gcnnbench.compare.entries import Comparison, Side, compare_runs
from gcnnbench.errors import UserError
from gcnnbench.leaderboard.reading import Run, run
from gcnnbench.runs.files import read_files
from gcnnbench.runs.record import Record
from gcnnbench.scoring.metrics import metrics

State = Literal["same file", "same numbers", "other numbers", "only first", "only second"]


@dataclass(frozen=True)
class CellPair:
    """One cell in two directories. `differs` names the parts of the record in which its numbers are not the same."""

    benchmark: str
    entry: str
    seed: int
    state: State
    differs: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """A field of the protocol or of the provenance with its two values, and the cells where it has these."""

    field: str
    first: str
    second: str
    cells: int


@dataclass(frozen=True)
class SetComparison:
    """Two results directories; `comparisons` is over the seeds in both, for entries in which a number differs."""

    first: str
    second: str
    cells: tuple[CellPair, ...]
    protocol: tuple[Change, ...]
    surroundings: tuple[Change, ...]
    comparisons: tuple[Comparison, ...]
    unreadable: tuple[str, ...]


@dataclass(frozen=True)
class _Kept:
    record: Record
    sha256: str


Cell = tuple[str, str, int]
"""Benchmark@version, entry and seed."""


def compare_sets(first: Path, second: Path, benchmarks: Sequence[str] = ()) -> SetComparison:
    """Compare the records of two results directories cell by cell, of whatever protocol they are.

    Repeats and records set aside are left out; one made with `--limit` is compared where it is alone in its place.

    Args:
        first: a results directory.
        second: another one.
        benchmarks: only these, by `name` or `name@version`.

    Raises:
        UserError: a directory or a benchmark has no record, or the two are one.
    """
    if first.resolve() == second.resolve():
        raise UserError(f"{first} is compared with itself; name another results directory in --against")
    unreadable: list[str] = []
    one, two = (_read(folder, benchmarks, unreadable) for folder in (first, second))
    if not set(one) & set(two):
        raise UserError(f"{first} and {second} have no cell in common; `gcnnbench status` says what is in each")
    pairs = [_pair(cell, one.get(cell), two.get(cell)) for cell in sorted(set(one) | set(two))]
    both = [(one[pair], two[pair]) for pair in sorted(set(one) & set(two))]
    return SetComparison(
        first=str(first),
        second=str(second),
        cells=tuple(pairs),
        protocol=_changes([(_flat(a.record.spec), _flat(b.record.spec)) for a, b in both]),
        surroundings=_changes([(_surroundings(a.record), _surroundings(b.record)) for a, b in both]),
        comparisons=tuple(_comparisons(pairs, one, two, (first, second))),
        unreadable=tuple(unreadable),
    )


def _read(folder: Path, benchmarks: Sequence[str], unreadable: list[str]) -> dict[Cell, _Kept]:
    found: dict[Cell, _Kept] = {}
    for file in read_files(folder):
        if isinstance(file.content, str):
            unreadable.append(f"{folder / file.place}: {file.content}")
        elif isinstance(file.content, Record) and file.kind in ("seed", "unofficial"):
            record = file.content
            cell = (record.benchmark, record.entry, record.seed)
            if record.official or cell not in found:
                found[cell] = _Kept(record, file.sha256)
    if not found:
        raise UserError(f"{folder}: no record there; a results directory is what `gcnnbench run` writes")
    names = {name for cell in found for name in (cell[0], cell[0].partition("@")[0])}
    if lacking := [name for name in benchmarks if name not in names]:
        raise UserError(f"{folder} has no record of {lacking[0]}; {choice(lacking[0], sorted(names))}")
    chosen = set(benchmarks)
    return {cell: kept for cell, kept in found.items() if not chosen or chosen & {cell[0], cell[0].partition("@")[0]}}


def _pair(cell: Cell, first: _Kept | None, second: _Kept | None) -> CellPair:
    if first is None or second is None:
        return CellPair(*cell, "only first" if second is None else "only second")
    if first.sha256 == second.sha256:
        return CellPair(*cell, "same file")
    one, two = _numbers(first.record), _numbers(second.record)
    differs = tuple(name for name in one if one[name] != two[name])
    return CellPair(*cell, "other numbers" if differs else "same numbers", differs)


def _numbers(record: Record) -> dict[str, Any]:
    """The parts of a record in which a run that is bit for bit the same is the same: all but times and provenance."""
    training = record.training.model_dump(exclude={"history": {"__all__": {"seconds"}}})
    return {
        "protocol": (record.spec_digest, record.spec),
        "training": training,
        "weights": record.weights.sha256,
        "counts": record.counts,
        "metrics": record.metrics,
        "equivariance": record.equivariance,
        "outputs": record.outputs,
        "parameters and MACs": (record.cost.parameters, record.cost.macs),
        "probes": record.probes,
    }


def _surroundings(record: Record) -> dict[str, str]:
    made = record.provenance
    fields = (
        "commit",
        "device",
        "device_name",
        "threads",
        "numeric_mode",
        "deterministic_algorithms",
        "platform",
        "seeds_at_once",
        "cuda_graphs",
        "beside_code",
    )
    plain = {"official": record.official, **{name: getattr(made, name) for name in fields}}
    return _flat({**plain, "dirty": made.dirty, "versions": made.versions})


def _flat(value: Any, place: str = "") -> dict[str, str]:
    """JSON data as field -> text, `{"recipe": {"epochs": 4}}` -> `{"recipe.epochs": "4"}`."""
    if not isinstance(value, Mapping):
        return {place: str(value)}
    return {
        field: text
        for key, inner in value.items()
        for field, text in _flat(inner, f"{place}.{key}" if place else str(key)).items()
    }


def _changes(pairs: Sequence[tuple[Mapping[str, str], Mapping[str, str]]]) -> tuple[Change, ...]:
    cells: dict[tuple[str, str, str], int] = defaultdict(int)
    for one, two in pairs:
        for field in dict.fromkeys([*one, *two]):
            here, there = one.get(field, "–"), two.get(field, "–")
            if here != there:
                cells[field, here, there] += 1
    return tuple(Change(*change, number) for change, number in sorted(cells.items()))


def _comparisons(
    pairs: Sequence[CellPair], one: Mapping[Cell, _Kept], two: Mapping[Cell, _Kept], folders: tuple[Path, Path]
) -> Iterator[Comparison]:
    for (benchmark, entry), group in groupby(pairs, key=lambda pair: (pair.benchmark, pair.entry)):
        common = [pair for pair in group if not pair.state.startswith("only")]
        if any(pair.state == "other numbers" for pair in common):
            cells = [(benchmark, entry, pair.seed) for pair in common]
            sides = [
                Side(f"{entry} in {folder}", {cell[2]: _run(side[cell]) for cell in cells}, folder)
                for side, folder in zip((one, two), folders, strict=True)
            ]
            cross_tested = "split.folds" in _flat(one[cells[0]].record.spec)
            yield compare_runs(benchmark, *sides, cross_tested=cross_tested)


def _run(kept: _Kept) -> Run:
    """A run with its metrics by its own record's protocol: the benchmark need not be registered here."""
    record = kept.record
    error = record.equivariance.after.invariance_error
    try:
        seen = record.spec["evaluation"]["seen"]
        found = metrics(record.counts, seen, invariance_error=error)
    except (KeyError, TypeError, ValueError) as broken:
        where = f"{record.benchmark} {record.entry} seed {record.seed}"
        raise UserError(
            f"{where}: no metrics can be made of its record ({broken}); see gcnnbench verify records"
        ) from None
    return replace(run(record, "seed", None), metrics=found)
