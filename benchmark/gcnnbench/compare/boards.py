"""Compares two states of a leaderboard: what is new, what is gone, what moved, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gcnnbench.compare.kept_boards import KeptBoard, KeptRow, parsed
from gcnnbench.compare.revision import files_at
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many, listed
from gcnnbench.leaderboard.board import Board
from gcnnbench.leaderboard.export import as_json
from gcnnbench.leaderboard.tables import TABLES
from gcnnbench.plain_files import read_given

What = Literal["new", "gone", "moved", "changed", "same"]
"""`moved`: another rank or number; `changed`: neither, but made of other records, say."""


@dataclass(frozen=True)
class Move:
    """A row in two states. Null: it was not there, or had no rank or number."""

    benchmark: str
    entry: str
    what: What
    ranks: tuple[int | None, int | None]
    means: tuple[float | None, float | None]
    metrics: Mapping[str, tuple[float | None, float | None]]
    why: tuple[str, ...]


@dataclass(frozen=True)
class StateComparison:
    """Two states of a leaderboard, a move for each row of either; `notes` is about whole benchmarks."""

    first: str
    second: str
    moves: tuple[Move, ...]
    notes: tuple[str, ...]


def compare_files(first: Path, second: Path) -> StateComparison:
    """Compare two files written by `gcnnbench leaderboard --format json`.

    Raises:
        UserError: one of them cannot be read, or holds no leaderboard.
    """
    states = [parsed(read_given(path), str(path)) for path in (first, second)]
    return _compared(str(first), states[0], str(second), states[1])


def compare_revision(results: Path, revision: str, boards: Sequence[Board], *, whole: bool = True) -> StateComparison:
    """Compare the tables kept in git at a revision with the boards of now.

    Args:
        results: the results directory; its tables/ at the revision are the first state.
        revision: whatever git takes for one.
        boards: the second state.
        whole: whether these are all boards that there are, so that others of the revision are gone.

    Raises:
        UserError: there is no such revision, or it keeps no tables.
    """
    folder = results / TABLES
    if not folder.is_dir():
        raise UserError(f"{folder} is not there: the state of a revision is what leaderboard --write kept in it")
    kept = files_at(revision, folder, ".json")
    if not kept:
        raise UserError(f"there are no tables in {folder} at {revision}: leaderboard --write keeps them")
    then = [board for name, text in kept.items() for board in parsed(text, f"{revision}:{TABLES}/{name}")]
    now = parsed(as_json(boards).encode(), "now")
    return _compared(f"{TABLES}/ at {revision}", then, "the records as they are", now, gone=whole)


def _compared(
    first: str, then: Sequence[KeptBoard], second: str, now: Sequence[KeptBoard], *, gone: bool = True
) -> StateComparison:
    """The comparison of two states. `gone`: whether a board of the first alone is gone, or was not asked for."""
    moves: list[Move] = []
    notes: list[str] = []
    for before, after in _pairs(then, now):
        if after is None:
            if before is None or not gone:
                continue
            notes.append(f"{before.benchmark} is gone")
        elif before is None:
            notes.append(f"{after.benchmark} is new")
        elif before.benchmark != after.benchmark:
            notes.append(
                f"{before.benchmark} became {after.benchmark}: another protocol, so its numbers do not compare"
            )
        elif before.rank_by != after.rank_by:
            notes.append(f"{after.benchmark} is ranked by {after.rank_by}, no longer by {before.rank_by}")
        moves += _moves(before, after)
    return StateComparison(first, second, tuple(moves), tuple(notes))


def _pairs(then: Sequence[KeptBoard], now: Sequence[KeptBoard]) -> Iterator[tuple[KeptBoard | None, KeptBoard | None]]:
    """Boards of the same benchmark and version; of a benchmark's only version in each state, also across versions."""
    old, new = ({board.benchmark: board for board in state} for state in (then, now))
    for name in dict.fromkeys([*new, *old]):
        before, after = old.get(name), new.get(name)
        one, other = (_only_version(name, state) for state in (old, new))
        if one and other and one != other:
            if name == other:
                yield old[one], new[other]
        else:
            yield before, after


def _only_version(benchmark: str, boards: Mapping[str, KeptBoard]) -> str | None:
    """The full name under which a state has this benchmark; null where it has no version of it or several."""
    versions = [name for name in boards if name.partition("@")[0] == benchmark.partition("@")[0]]
    return versions[0] if len(versions) == 1 else None


def _moves(before: KeptBoard | None, after: KeptBoard | None) -> Iterator[Move]:
    """The rows of both, those of now in their order first."""
    old, new = (board.rows if board else () for board in (before, after))
    board = after or before
    if board is None:
        return
    other_version = before is not None and before.benchmark != board.benchmark
    continued = []
    for row in new:
        earlier = _earlier(row, old)
        continued.append(earlier)
        yield _move(board, earlier, row, other_version=other_version)
    yield from (_move(board, row, None) for row in old if not any(row is found for found in continued))


def _earlier(row: KeptRow, old: Sequence[KeptRow]) -> KeptRow | None:
    """The row of the same entry and numeric mode; one without records has no mode yet and goes on in any."""
    of_entry = [found for found in old if found.entry == row.entry]
    same = [found for found in of_entry if found.numeric_mode == row.numeric_mode]
    waiting = [found for found in of_entry if not (found.seeds and row.seeds)]
    return next(iter([*same, *waiting]), None)


def _move(board: KeptBoard, old: KeptRow | None, new: KeptRow | None, *, other_version: bool = False) -> Move:
    row = new or old
    if row is None:
        raise ValueError("a move is of a row that is in one of two states")
    names = dict.fromkeys([*(old.metrics if old else ()), *(new.metrics if new else ())])
    metrics = {name: (_mean(old, name), _mean(new, name)) for name in names}
    ranks = (old.rank if old else None, new.rank if new else None)
    why = tuple(_why(old, new, other_version))
    moved = ranks[0] != ranks[1] or any(then != now for then, now in metrics.values())
    what = _what(old, new, moved=moved, reasons=bool(why))
    if what == "moved" and not why:
        why = ("other rows moved",)
    return Move(board.benchmark, row.entry, what, ranks, metrics.get(board.rank_by, (None, None)), metrics, why)


def _what(old: KeptRow | None, new: KeptRow | None, *, moved: bool, reasons: bool) -> What:
    """What became of a row; one that has its first record is new, though the table named it before."""
    had, has = bool(old and old.seeds), bool(new and new.seeds)
    if has != had:
        return "new" if has else "gone"
    if old is None or new is None:
        return "new" if old is None else "gone"
    return "moved" if moved else "changed" if reasons else "same"


def _mean(row: KeptRow | None, name: str) -> float | None:
    found = row.metrics.get(name) if row else None
    return found.mean if found else None


def _why(old: KeptRow | None, new: KeptRow | None, other_version: bool) -> Iterator[str]:
    """The reasons for which a row is not what it was."""
    if old is None or new is None:
        yield "no such row before" if old is None else "no such row any more"
        return
    if other_version:
        yield "another version of the benchmark"
    elif old.spec_digest and new.spec_digest and old.spec_digest != new.spec_digest:
        yield f"another protocol: digest {old.spec_digest[:8]} became {new.spec_digest[:8]}"
    if old.test_images and new.test_images and old.test_images != new.test_images:
        yield f"tested on {how_many(new.test_images, 'image')}, no longer on {old.test_images:,}"
    added, removed = sorted(set(new.seeds) - set(old.seeds)), sorted(set(old.seeds) - set(new.seeds))
    if added:
        yield f"new {listed(tuple(added))}"
    if removed:
        yield f"{listed(tuple(removed))} gone"
    yield from _changed(old, new)
    if old.seeds and new.seeds and old.equivariance != new.equivariance:
        yield f"{old.equivariance} became {new.equivariance}"


def _changed(old: KeptRow, new: KeptRow) -> Iterator[str]:
    """Which records of common seeds are other files; by the numbers alone where a state does not name its records."""
    if old.records is not None and new.records is not None:
        then = dict(zip(old.seeds, old.records, strict=True))
        now = dict(zip(new.seeds, new.records, strict=True))
        changed = tuple(seed for seed in old.seeds if seed in now and then[seed] != now[seed])
        if changed:
            same = old.seeds == new.seeds and old.metrics == new.metrics
            yield f"other records of {listed(changed)}{', the same numbers' if same else ''}"
    elif old.seeds == new.seeds and old.metrics != new.metrics:
        yield f"other numbers of {listed(old.seeds)}; the earlier state does not name its records"
