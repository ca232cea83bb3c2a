"""The difference of two rows of a board in one metric, by the one test that ranks and pair tables share."""

from __future__ import annotations

from gcnnbench.leaderboard.board import Row
from gcnnbench.statistics import Difference, paired, welch


def difference(metric: str, first: Row, second: Row) -> Difference | None:
    """First − second by Welch's test; under cross-testing by Student's, paired over the folds that both have.

    Rows of one board are either all cross-tested or none. Null where a row lacks the metric or no fold is common.
    """
    one, other = first.metrics.get(metric), second.metrics.get(metric)
    if one is None or other is None:
        return None
    if not first.folds:
        return welch(one, other)
    ours, theirs = ({fold.seed: fold.metrics.get(metric) for fold in row.folds} for row in (first, second))
    both = [(ours[seed], theirs[seed]) for seed in common_seeds(first, second)]
    differences = [here - there for here, there in both if here is not None and there is not None]
    return paired(differences) if differences else None


def common_seeds(first: Row, second: Row) -> list[int]:
    """The seeds that both rows have; under cross-testing a seed is a fold."""
    return [seed for seed in first.seeds if seed in second.seeds]
