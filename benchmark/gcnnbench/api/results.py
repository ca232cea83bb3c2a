"""Reads results as the verbs show them: leaderboards, the lineage of a number, comparisons and figures."""

from __future__ import annotations

from pathlib import Path

from gcnnbench.api.folders import Folder, results_folder
from gcnnbench.api.networks import registry
from gcnnbench.cards.registry import Registry
from gcnnbench.compare import directories, entries
from gcnnbench.explain import lineage
from gcnnbench.explain.explanation import Explanation
from gcnnbench.figures import gallery
from gcnnbench.leaderboard import tables
from gcnnbench.leaderboard.board import Board


def leaderboard(*benchmarks: str, results: Folder | None = None, cards: Registry | None = None) -> list[Board]:
    """The leaderboard as data, one board a benchmark: rows with metrics, pairs, and what is missing with its reason.

    `gcnnbench.leaderboard.tables.render(boards, "md")` prints it, `gcnnbench.leaderboard.export.board_data(board)`
    gives plain dictionaries, as for `pandas.DataFrame`.

    Args:
        *benchmarks: names; all that have a record where none is given.
        results: the results directory, the checkout's `results/` where none is given.
        cards: the registry, read anew where none is given.

    Raises:
        UserError: there is no such benchmark, or no record of any.
    """
    return tables.leaderboard(cards or registry(), results_folder(results), benchmarks)[0]


def explain(
    benchmark: str,
    entry: str,
    metric: str | None = None,
    *,
    seed: int | None = None,
    results: Folder | None = None,
    cards: Registry | None = None,
) -> Explanation:
    """From one number of a leaderboard to its records, counts, protocol, data, commit, machine and claims.

    Args:
        benchmark: `name` or `name@version`.
        entry: `slug@size`.
        metric: as in the JSON form of the leaderboard, or without `accuracy.`; the one that is ranked by where None.
        seed: the records of this seed alone.
        results: the results directory, the checkout's `results/` where none is given.
        cards: the registry, read anew where none is given.

    Raises:
        UserError: there is no such benchmark, entry, metric or record.
    """
    return lineage.explain(cards or registry(), results_folder(results), benchmark, entry, metric, seed)


def compare(
    first: str, second: str, *, results: Folder | None = None, cards: Registry | None = None
) -> entries.Comparison:
    """Two entries of one benchmark, `BENCHMARK/SLUG@SIZE` each: differences with intervals, and image by image.

    Raises:
        UserError: a name is wrong, the benchmarks differ, or one of the entries has no official record.
    """
    return entries.compare(cards or registry(), results_folder(results), first, second)


def compare_directories(first: Folder, second: Folder, *benchmarks: str) -> directories.SetComparison:
    """Two results directories, cell by cell: equal to the bit, other numbers, or only in one of them.

    Raises:
        UserError: a directory is not there, or they share no cell.
    """
    return directories.compare_sets(Path(first), Path(second), benchmarks)


def figure(
    name: str,
    benchmark: str | None = None,
    *,
    folder: Folder,
    family: str | None = None,
    results: Folder | None = None,
    cards: Registry | None = None,
) -> gallery.Drawn:
    """Draw a figure as SVG and PNG: `curve`, `relaxation`, `degree` or `pairs`.

    Args:
        name: of the figure.
        benchmark: whose; `pairs` can do without.
        folder: where the files are written.
        family: whose `degree`.
        results: the results directory, the checkout's `results/` where none is given.
        cards: the registry, read anew where none is given.

    Raises:
        UserError: there is no such figure or benchmark, or nothing to draw.
    """
    return gallery.draw(cards or registry(), results_folder(results), name, benchmark, Path(folder), family)
