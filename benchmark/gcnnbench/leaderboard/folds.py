"""Cross-testing: what each seed scores on its own fold, and all folds pooled."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench import formatting
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.layout import Table
from gcnnbench.leaderboard.board import Board, Fold
from gcnnbench.leaderboard.reading import Run

FOLDS_CAPTION = (
    "Cross-testing, in per cent: each seed on the fold it is tested on, and pooled over the images of all folds that "
    "an entry was tested on, for AUC over their pairs of two classes."
)
METRICS = {"accuracy.upright": "upright", "accuracy.orbit": "orbit", "auc": "AUC"}


def folds_of(card: BenchmarkCard, runs: Sequence[Run]) -> tuple[Fold, ...]:
    """The folds that these runs of one entry were tested on; none where the split has no folds."""
    folds = card.split.folds
    if folds is None:
        return ()
    return tuple(Fold(run.seed, run.seed % folds, run.test_images, run.test_pairs, run.metrics) for run in runs)


def tested_images(folds: Sequence[Fold], runs: Sequence[Run]) -> int:
    """The images that an entry is tested on: those of all its folds, or those of any run."""
    return sum({fold.fold: fold.images for fold in folds}.values()) if folds else runs[0].test_images


def pooled(folds: Sequence[Fold], metric: str) -> float | None:
    """One metric over the images of these folds, for AUC over their pairs; null where a fold lacks it."""
    shares = [(fold.metrics.get(metric), fold.pairs if metric == "auc" else fold.images) for fold in folds]
    found = [(value, weight) for value, weight in shares if value is not None]
    if len(found) < len(shares) or not found:
        return None
    return sum(value * weight for value, weight in found) / sum(weight for _, weight in found)


def folds_table(board: Board) -> Table:
    """The folds of each entry, a column for each seed that any of them has."""
    seeds = sorted({fold.seed for row in board.rows for fold in row.folds})
    rows = []
    for row in board.rows:
        name, by_seed = row.entry, {fold.seed: fold for fold in row.folds}
        for metric, heading in METRICS.items():
            value = pooled(row.folds, metric)
            if value is not None:
                each = [
                    formatting.share(by_seed[seed].metrics.get(metric)) if seed in by_seed else formatting.NOTHING
                    for seed in seeds
                ]
                rows.append([name, heading, *each, formatting.share(value)])
                name = ""
    return ["entry", "metric", *(f"seed {seed}" for seed in seeds), "pooled"], rows, "ll" + "r" * (len(seeds) + 1)
