"""The difference of two rows of a board in one metric, by the one test that ranks and pair tables share."""

from __future__ import annotations

from gcnnbench.leaderboard.board import Row
from gcnnbench.statistics import Difference, Summary, paired, summary, welch


def difference(metric: str, first: Row, second: Row) -> Difference | None:
    """First − second by Welch's test; under cross-testing by Student's, paired over the folds that both have.

    Rows of one board are either all cross-tested or none. Null where a row lacks the metric or no fold is common.
    """
    if first.folds:
        pairs = _common_folds(metric, first, second)
        return paired([one - other for one, other in pairs]) if pairs else None
    one, other = first.metrics.get(metric), second.metrics.get(metric)
    return welch(one, other) if one and other else None


def compared(metric: str, first: Row, second: Row) -> tuple[Summary, Summary] | None:
    """The two samples that `difference` is of: all seeds of each row, under cross-testing the folds that both have."""
    if first.folds:
        pairs = _common_folds(metric, first, second)
        one, other = ([pair[side] for pair in pairs] for side in (0, 1))
        return (summary(one), summary(other)) if pairs else None
    ours, theirs = first.metrics.get(metric), second.metrics.get(metric)
    return (ours, theirs) if ours and theirs else None


def _common_folds(metric: str, first: Row, second: Row) -> list[tuple[float, float]]:
    ours, theirs = ({fold.seed: fold.metrics.get(metric) for fold in row.folds} for row in (first, second))
    both = [(ours[seed], theirs[seed]) for seed in common_seeds(first, second)]
    return [(here, there) for here, there in both if here is not None and there is not None]


def common_seeds(first: Row, second: Row) -> list[int]:
    """The seeds that both rows have; under cross-testing a seed is a fold."""
    return [seed for seed in first.seeds if seed in second.seeds]
