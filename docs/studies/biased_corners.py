"""Which corners the official training saw: the rule of the cards `biased-corners-*`, applied to their records.

    python docs/studies/biased_corners.py

An arm is ruled out where the permutation test of the ten quantities says p < 0.01; of the others the one nearest to the
official means, in official deviations, is taken. The arm of enlarged digits came later: it is ruled out or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
import typer
from numpy.typing import NDArray

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.curve_test import CurveTest, Runs, curve_test
from gcnnbench.claims.quantities import CurveQuantity
from gcnnbench.claims.single_runs import RunsFile
from gcnnbench.formatting import percent, probability
from gcnnbench.layout import pipes
from gcnnbench.leaderboard.records import all_records, counted
from gcnnbench.runs.record import Record
from gcnnbench.statistics import summary

HERE = Path(__file__).resolve().parent
CORNERS = ("black", "grey", "unnormalised")
ARMS = (*CORNERS, "enlarged")
EPOCHS = (10, 20, 30, 40, 50)
QUANTITIES: tuple[CurveQuantity, ...] = ("validation_accuracy.epoch", "train_accuracy.epoch")
LEVEL = 0.01


@dataclass(frozen=True)
class Arm:
    """One arm of the study: its seeds (seeds, quantities), the test, and its distance from the official means.

    `distance` is the root of the mean squared shift over the quantities, in deviations of the official runs.
    """

    name: str
    ours: Runs
    test: CurveTest
    distance: float

    @property
    def ruled_out(self) -> bool | None:
        """Whether the test rules it out; null where there are too few seeds for it."""
        return None if self.test.p is None else self.test.p < LEVEL


def official_runs() -> Runs:
    """The ten official runs of the Z2CNN around 45° (runs, quantities), as fractions."""
    text = files("gcnnbench").joinpath("registry/claims/edixhoven2023.runs.json").read_text("utf-8")
    kept = {
        one.quantity: np.array(one.runs)[:, [one.at.index(at) for at in EPOCHS]] / one.per
        for one in RunsFile.model_validate_json(text).curves
        if (one.benchmark, one.entry) == ("mnist-biased-20", "z2cnn@28") and one.quantity in QUANTITIES
    }
    return np.concatenate([kept[quantity] for quantity in QUANTITIES], axis=1)


def arms(results: Path = HERE / "results") -> list[Arm]:
    """The arms that have records in a results directory.

    Args:
        results: where the records are.
    """
    registry = Registry.load([HERE / f"biased-corners-{name}.yaml" for name in ARMS])
    cards = {name: registry.versions()[f"biased-corners-{name}@1"] for name in ARMS}
    records, theirs = all_records(registry, results, list(cards.values())), official_runs()
    found = []
    for name, card in cards.items():
        here = counted(records[card.full_name]).get("z2cnn@28", [])
        if here:
            ours = np.array([_quantities(one.record) for one in here])
            shift = (ours.mean(axis=0) - theirs.mean(axis=0)) / theirs.std(axis=0, ddof=1)
            found.append(Arm(name, ours, curve_test(ours, theirs), float(np.sqrt((shift**2).mean()))))
    return found


def taken(found: list[Arm]) -> Arm | None:
    """The arm nearest to the official means of those that are not ruled out; one that came later is not taken."""
    left = [arm for arm in found if arm.name in CORNERS and not arm.ruled_out]
    return min(left, key=lambda arm: arm.distance) if left else None


def _quantities(record: Record) -> NDArray[np.float64]:
    history = {epoch.epoch: epoch for epoch in record.training.history}
    rows = [history[at].validation_accuracy for at in EPOCHS] + [history[at].train_accuracy for at in EPOCHS]
    return np.array(rows, dtype=np.float64)


def table(found: list[Arm], theirs: Runs) -> str:
    """The arms beside the official runs: means and deviations in per cent, distance, p."""
    shown = [("official", theirs, "", "")]
    shown += [(arm.name, arm.ours, f"{arm.distance:.2f}", probability(arm.test.p)) for arm in found]
    header = ["quantity", *(f"{name} ({len(runs)})" for name, runs, *_ in shown)]
    rows = [
        [f"{kind}, epoch {at}", *(percent(summary(list(runs[:, place]))) for _, runs, *_ in shown)]
        for place, (kind, at) in enumerate((kind, at) for kind in ("upright validation", "training") for at in EPOCHS)
    ]
    rows += [["distance", *(line[2] for line in shown)], ["p", *(line[3] for line in shown)]]
    return pipes((header, rows, "l" + "r" * len(shown)))


if __name__ == "__main__":
    judged = arms()
    typer.echo(table(judged, official_runs()))
    nearest = taken(judged)
    typer.echo(f"\nruled out: {', '.join(arm.name for arm in judged if arm.ruled_out) or 'none'}")
    typer.echo(f"taken: {nearest.name if nearest else 'none'}")
