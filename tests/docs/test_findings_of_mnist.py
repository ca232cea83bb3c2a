"""What the findings say of the growth and the sag in the MNIST study is computed here from the committed records."""

from __future__ import annotations

from pathlib import Path
from statistics import mean

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.verdicts import judge_growth
from gcnnbench.formatting import points
from gcnnbench.leaderboard.records import all_records, counted
from gcnnbench.runs.record import Record
from gcnnbench.scoring.metrics import angle_accuracies
from gcnnbench.statistics import paired

ROOT = Path(__file__).resolve().parents[2]
TEXT = " ".join((ROOT / "docs/findings.md").read_text("utf-8").split())


@pytest.fixture(scope="module")
def records() -> dict[tuple[str, str], list[Record]]:
    """The counted records by benchmark and entry."""
    registry = Registry.load()
    names = ("mnist-upright@1", "mnist-upright@2", "mnist-uniform@1")
    kept = all_records(registry, ROOT / "results", [registry.versions()[name] for name in names])
    return {
        (name, entry): [one.record for one in here] for name in names for entry, here in counted(kept[name]).items()
    }


def errors(found: list[Record], state: str) -> list[float]:
    """The invariance errors before or after training."""
    every = [getattr(record.equivariance, state).invariance_error for record in found]
    return [error for error in every if error is not None]


def growth(found: list[Record]) -> list[float]:
    """How much the invariance error grew in each run."""
    return [after - before for before, after in zip(errors(found, "before"), errors(found, "after"), strict=True)]


def test_the_primary_statement_that_is_not_reproduced_is_told(records: dict[tuple[str, str], list[Record]]) -> None:
    grown = [growth(records["mnist-upright@2", entry]) for entry in ("p4cnn@27", "p4cnn@29")]
    assert min(map(min, grown)) > 0, "it grows in every run"
    assert judge_growth(grown).verdict == "inconclusive"
    assert "**That training breaks equivariance further is *inconclusive***" in TEXT
    for entry, sample in zip(("p4cnn@27", "p4cnn@29"), grown, strict=True):
        test = paired(sample)
        assert test.interval is not None
        low, high = (f"{end:.2f}".replace("-", "−") for end in test.interval)
        assert f"`{entry}` by {test.difference:.2f} " in TEXT
        assert f"[{low}, {high}]" in TEXT
    first, second = (records[f"mnist-upright@{version}", "p4cnn@27"] for version in (1, 2))
    after = [mean(errors(found, "after")) for found in (second, first)]
    before = [mean(errors(found, "before")) for found in (second, first)]
    assert f"version 1, {after[0]:.2f} and {after[1]:.2f} at 27" in TEXT
    assert f"begins higher, at {before[0]:.2f} and not {before[1]:.2f}" in TEXT


def test_the_sag_of_the_ordinary_network_is_the_mean_of_its_quarters(
    records: dict[tuple[str, str], list[Record]],
) -> None:
    curves = [angle_accuracies(record.counts) for record in records["mnist-uniform@1", "z2cnn@28"]]
    turns = (0, 90, 180, 270)
    sags = [
        mean(curve[turn] for turn in turns) - mean(curve[turn + off] for turn in turns for off in (40, 50))
        for curve in curves
    ]
    told = " and ".join(points(sag).removeprefix("+") for sag in sags)
    assert f"loses in their mean {told} with grey" in TEXT
