"""What the findings say of cifar10-air's training and of its seeds is computed here from the committed records."""

from __future__ import annotations

from itertools import accumulate, pairwise
from pathlib import Path
from statistics import correlation, stdev
from typing import NamedTuple

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.leaderboard.records import all_records, counted
from gcnnbench.statistics import detectable, from_moments

ROOT = Path(__file__).resolve().parents[2]
TEXT = " ".join((ROOT / "docs/findings.md").read_text("utf-8").split())


class Run(NamedTuple):
    """The training loss after every epoch, and the accuracy upright in per cent."""

    losses: list[float]
    upright: float

    @property
    def rises(self) -> bool:
        """Whether the loss rises after any epoch."""
        return any(later > before for before, later in pairwise(self.losses))

    @property
    def rise(self) -> float:
        """How far the loss rises above the lowest that it had before."""
        lowest = accumulate(self.losses, min)
        return max(later - least for least, later in zip(lowest, self.losses[1:], strict=False))


@pytest.fixture(scope="module")
def runs() -> dict[str, list[Run]]:
    return runs_of("cifar10-air@1")


def runs_of(benchmark: str) -> dict[str, list[Run]]:
    registry = Registry.load()
    records = counted(all_records(registry, ROOT / "results", [registry.versions()[benchmark]])[benchmark])
    return {
        entry: [
            Run(
                [epoch.train_loss for epoch in one.record.training.history],
                100 * (one.record.metrics["accuracy.upright"] or 0),
            )
            for one in here
        ]
        for entry, here in records.items()
    }


def test_the_loss_of_group_networks_rises_again(runs: dict[str, list[Run]]) -> None:
    group = [run for entry, here in runs.items() if entry.startswith("p4") for run in here]
    ordinary = [run for entry, here in runs.items() if entry.startswith("z2") for run in here]
    rising = [sum(run.rises for run in here) for here in (group, ordinary)]
    assert f"The loss of {rising[0]} of the {len(group)} P4 runs rises again" in TEXT
    assert f"and of {rising[1]} of the {len(ordinary)} ordinary ones" in TEXT
    found = correlation([run.rise for run in group], [run.upright for run in group])
    assert f"(correlation {found:.2f};".replace("-", "−") in TEXT


def test_the_loss_rises_again_where_training_is_turned() -> None:
    turned = runs_of("cifar10-air-turned@1")
    every = [run for here in turned.values() for run in here]
    assert f"the loss of {sum(run.rises for run in every)} of the {len(every)} runs rises again" in TEXT
    assert "of each network the seed whose loss rises further ends lower" in TEXT
    for first, second in turned.values():
        assert (first.rise > second.rise) == (first.upright < second.upright)


@pytest.mark.parametrize(
    ("entry", "number", "words"), [("p4-air@33", 1700, "some {:,} seeds"), ("z2-air-wide@33", 14, "for {}.")]
)
def test_seeds_that_three_tenths_of_a_point_ask_for(
    runs: dict[str, list[Run]], entry: str, number: int, words: str
) -> None:
    deviation = stdev(run.upright for run in runs[entry])

    def seen_by(seeds: int) -> float:
        sample = from_moments(0, deviation, seeds)
        return detectable(sample, sample) or float("inf")

    needed = next(seeds for seeds in range(2, 10_000) if seen_by(seeds) <= 0.3)
    assert round(needed, 2 - len(str(needed))) == number
    assert words.format(number) in TEXT
