"""What a plan will take: whole batches where they are quick, small ones scaled up where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.cards.schema import DatasetCard
from gcnnbench.data.parts import Part
from gcnnbench.runs import estimate
from gcnnbench.runs.cell import Cell


@pytest.mark.parametrize(("patience", "whole"), [(0.0, False), (1e9, True)])
def test_a_slow_network_is_never_shown_a_whole_batch(
    monkeypatch: pytest.MonkeyPatch, patience: float, whole: bool
) -> None:
    registry = Registry.load()
    made, make = [], estimate._made_up

    def noted(dataset: DatasetCard, images: int) -> Part:
        made.append(images)
        return make(dataset, images)

    monkeypatch.setattr(estimate, "_made_up", noted)
    monkeypatch.setattr(estimate, "PATIENCE", patience)
    found = estimate.estimate(Cell(registry, "quickstart", "p4cnn@12", 0, "cpu", 1, Path("unused")))
    batch = registry.benchmark("quickstart").recipe.batch_size
    small = estimate.STEPS * min(estimate.PROBE, batch)
    assert made == ([small, estimate.STEPS * batch] if whole else [small])
    assert found.train_seconds > 0
    assert found.test_seconds > 0
