"""Comparisons of two entries, of two results directories and of two states of a leaderboard, in Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from gcnnbench import formatting
from gcnnbench.compare.boards import Move, StateComparison
from gcnnbench.compare.directories import CellPair, Change, SetComparison
from gcnnbench.compare.entries import Comparison, MetricComparison
from gcnnbench.layout import bullets, folded, pipes
from gcnnbench.statistics import Difference


def comparison_as_markdown(comparison: Comparison) -> str:
    """Tables of the differences across seeds and image by image, in percentage points."""
    parts = [f"## {comparison.benchmark}: {comparison.first} − {comparison.second}", CAPTION]
    return "\n\n".join([*parts, *tables(comparison)]) + "\n"


CAPTION = folded(
    "Per cent and percentage points; mean ± sample standard deviation (ddof = 1) over n seeds. "
    "Diff.: first − second. Paired: by seed. "
    "Detectable: the smallest true difference that these seeds find with probability 0.8 at the 5% level."
)


def tables(comparison: Comparison) -> Iterator[str]:
    """The differences across seeds and image by image, and what could not be compared."""
    one, two = comparison.metrics[0].first, comparison.metrics[0].second
    yield folded(f"First: {comparison.first}, n = {one.n}. Second: {comparison.second}, n = {two.n}.")
    if comparison.cross_tested:
        headings = ["metric", "first", "second", "diff.", "95% (by fold)", "p", "detectable"]
        rows = [_by_fold(found) for found in comparison.metrics]
        yield "Each seed is tested on a fold of its own, so differences are those within the folds of both:"
    else:
        headings = ["metric", "first", "second", "diff.", "95% (Welch)", "p", "paired p", "detectable"]
        rows = [_metric(found) for found in comparison.metrics]
    yield pipes((headings, rows, "l" + "r" * (len(headings) - 1)))
    if comparison.images:
        rows = [
            [str(found.seed), str(found.first_only), str(found.second_only), formatting.probability(found.p)]
            for found in comparison.images
        ]
        yield "Upright images that one network gets right and the other of the same seed does not (McNemar, exact):"
        yield pipes((["seed", "only first", "only second", "p"], rows, "rrrr"))
    if comparison.bootstrap:
        yield folded(
            "Mean upright difference had other test images been drawn, the same networks: "
            f"{formatting.interval(comparison.bootstrap)} (95%, paired bootstrap)."
        )
    if comparison.gaps:
        yield bullets(comparison.gaps)


def _metric(found: MetricComparison) -> list[str]:
    within = formatting.probability(found.paired.p) if found.paired else formatting.NOTHING
    return [*_both(found), *_difference(found.welch), within, formatting.share(found.detectable)]


def _by_fold(found: MetricComparison) -> list[str]:
    return [*_both(found), *_difference(found.paired), formatting.share(found.detectable)]


def _both(found: MetricComparison) -> list[str]:
    """The metric's name and the means of both sides."""
    means = (formatting.percent(side, tight=True) for side in (found.first, found.second))
    return [found.metric.removeprefix("accuracy."), *means]


def _difference(test: Difference | None) -> list[str]:
    if test is None:
        return [formatting.NOTHING] * 3
    return [formatting.points(test.difference), formatting.interval(test.interval), formatting.probability(test.p)]


MEANINGS = folded(
    "Same file: byte for byte. Same numbers: all but times and provenance is equal to the bit. Other numbers: the "
    "parts that differ are named."
)


def sets_as_markdown(found: SetComparison) -> str:
    """The cells of both directories, what differs around them, and the differences of those that are not the same."""
    parts = [
        f"## Records, first − second\n\nfirst:  {found.first}\nsecond: {found.second}",
        _cells(found.cells),
        MEANINGS,
    ]
    parts += _changed("Protocol", "the protocols are the same", found.protocol)
    parts += _changed("Code, machine and versions", "code, machine and versions are the same", found.surroundings)
    if found.comparisons:
        parts += ["### Differences over the common seeds", CAPTION]
        parts += [text for comparison in found.comparisons for text in tables(comparison)]
    if found.unreadable:
        parts.append(bullets(f"not compared: {finding}" for finding in found.unreadable))
    return "\n\n".join(parts) + "\n"


def _cells(pairs: Sequence[CellPair]) -> str:
    rows = []
    for (benchmark, entry), group in groupby(pairs, key=lambda pair: (pair.benchmark, pair.entry)):
        told = list(_told(list(group)))
        rows += [[f"{benchmark} {entry}" if place == 0 else "", *row] for place, row in enumerate(told)]
    return pipes((["cell", "seeds", "numbers", "differing in"], rows, ""))


def _told(pairs: Sequence[CellPair]) -> Iterator[list[str]]:
    """The seeds of an entry by what there is to say of them."""
    by_state: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for pair in pairs:
        by_state.setdefault((pair.state, pair.differs), []).append(pair.seed)
    for (state, differs), seeds in by_state.items():
        yield [formatting.ranges(seeds), state, ", ".join(differs)]


def _changed(title: str, same: str, changes: Sequence[Change]) -> Iterator[str]:
    if not changes:
        yield f"In the common cells {same}."
        return
    yield f"### {title}"
    yield bullets(
        f"{change.field}: {change.first} → {change.second} ({formatting.how_many(change.cells, 'cell')})"
        for change in changes
    )


def states_as_markdown(found: StateComparison) -> str:
    """A table of the rows that are not what they were, and why."""
    parts = [f"## Leaderboard\n\nbefore: {found.first}\nafter:  {found.second}"]
    parts += [bullets(found.notes)] if found.notes else []
    for benchmark in dict.fromkeys(move.benchmark for move in found.moves):
        moves = [move for move in found.moves if move.benchmark == benchmark]
        changed = [move for move in moves if move.what != "same"]
        same = len(moves) - len(changed)
        parts.append(f"### {benchmark}")
        parts += [_moves(changed), _reasons(changed)] if changed else []
        if same:
            parts.append(f"{same} row is what it was." if same == 1 else f"{same} rows are what they were.")
    return "\n\n".join(parts) + "\n"


def _moves(moves: Sequence[Move]) -> str:
    rows = [[move.entry, move.what, _rank(move), *_means(move)] for move in moves]
    return pipes((["entry", "", "rank", "before", "after", "points"], rows, "lllrrr"))


def _reasons(moves: Sequence[Move]) -> str:
    return bullets(f"{move.entry}: {'; '.join(move.why)}." for move in moves)


def _rank(move: Move) -> str:
    before, after = (str(rank) if rank is not None else formatting.NOTHING for rank in move.ranks)
    return before if before == after else f"{before} → {after}"


def _means(move: Move) -> list[str]:
    before, after = move.means
    difference = formatting.points(after - before) if before is not None and after is not None else formatting.NOTHING
    return [*map(formatting.share, move.means), difference]
