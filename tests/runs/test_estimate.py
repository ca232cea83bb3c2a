"""What a plan will take: whole batches where they are quick, small ones scaled up where they are not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.registry import Registry
from gcnnbench.data.images import prepare
from gcnnbench.data.parts import Part
from gcnnbench.runs import estimate, speed
from gcnnbench.runs.cell import Cell
from gcnnbench.training.task import Task, TrainingState


def test_one_interrupted_epoch_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second that another process takes in one of the measured epochs is not scaled up to all of them."""

    def seconds(*taken: float) -> float:
        def trained(_network: object, _task: object, state: TrainingState) -> Iterator[TrainingState]:
            for one in taken:
                state.history.append({"seconds": one})
                yield state

        monkeypatch.setattr(speed, "train", trained)
        cell = Cell(Registry.load(), "quickstart", "z2cnn@12", 0, "cpu", 1, Path("unused"))
        return speed.measure(cell, 1000, 1e9)[0].train

    assert seconds(9.0, 0.1, 0.1, 0.1, 1.0, 0.1) == seconds(0.1, 0.1, 0.1, 0.1, 0.1, 0.1)


def test_waiting_for_other_processes_uses_up_no_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0

    def tick() -> float:
        nonlocal clock
        clock += 1.0
        return clock

    def slow(_cell: Cell, macs: int, _patience: float) -> tuple[speed.Speed, int]:
        nonlocal clock
        clock += 1000.0
        return speed.Speed(1.0, 0.1, macs), 1000

    monkeypatch.setattr("gcnnbench.runs.estimate.time.perf_counter", tick)
    monkeypatch.setattr(estimate, "measure", slow)
    monkeypatch.setattr(estimate, "bare_speed", lambda _: speed.Speed(1.0, 0.1, 1000))
    found = estimate.forecast(cells("z2cnn@12", "p4cnn@12", "p4mcnn@12"))
    assert [one.measured for one in found if isinstance(one, estimate.Estimate)] == [True] * 3


@pytest.mark.parametrize(("patience", "whole"), [(0.0, False), (1e9, True)])
def test_a_slow_network_is_never_shown_a_whole_batch(
    monkeypatch: pytest.MonkeyPatch, patience: float, whole: bool
) -> None:
    registry = Registry.load()
    made, make = [], speed.made_up

    def noted(dataset: DatasetCard, images: int) -> Part:
        made.append(images)
        return make(dataset, images)

    monkeypatch.setattr(speed, "made_up", noted)
    cell = Cell(registry, "quickstart", "p4cnn@12", 0, "cpu", 1, Path("unused"))
    found, weights = speed.measure(cell, estimate.expected_macs(cell), patience)
    batch = registry.benchmark("quickstart").recipe.batch_size
    small = speed.STEPS * min(speed.PROBE, batch)
    assert made == ([small, speed.STEPS * batch, 64] if whole else [small, 1]), "of the steps, then of scoring"
    assert found.train > 0
    assert found.test > 0
    assert weights > 0


@pytest.mark.parametrize(("patience", "shown"), [(1e9, 32), (0.5, 20)])
def test_what_a_step_takes_of_the_host_is_not_taken_for_each_image(
    monkeypatch: pytest.MonkeyPatch, patience: float, shown: int
) -> None:
    """A step of 20 ms and 1 ms an image takes 52 ms with 32, and not four times the 28 ms that it takes with 8."""
    sizes = []

    def trained(_network: object, task: Task, state: TrainingState) -> Iterator[TrainingState]:
        sizes.append(task.recipe.batch_size)
        for _ in range(3):
            state.history.append({"seconds": speed.STEPS * (0.020 + 0.001 * sizes[-1])})
            yield state

    monkeypatch.setattr(speed, "train", trained)
    cell = Cell(Registry.load(), "quickstart", "z2cnn@12", 0, "cpu", 1, Path("unused"))
    found = speed.measure(cell, 1000, patience)[0]
    assert sizes == [8, pytest.approx(shown, abs=4)]
    assert found.train * 32 == pytest.approx(0.052)


def test_what_is_read_after_each_epoch_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "measure", lambda _, macs, __: (speed.Speed(0.0, 0.0, macs, 3.0), 1000))
    cell = Cell(Registry.load(), "degree-digits-halves", "p4cnn@12", 0, "cpu", 1, Path("unused"))
    (found,) = estimate.forecast([cell])
    assert isinstance(found, estimate.Estimate)
    assert found.train_seconds == 3.0 * cell.card.recipe.epochs


def cells(*entries: str) -> list[Cell]:
    return [Cell(Registry.load(), "quickstart", entry, 0, "cpu", 1, Path("unused")) for entry in entries]


def test_what_there_is_no_time_to_measure_is_scaled_from_the_smaller(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = []

    def noted(cell: Cell, macs: int, _: float) -> tuple[speed.Speed, int]:
        measured.append(cell.entry)
        return speed.Speed(1.0, 0.5, macs), 1000

    monkeypatch.setattr(estimate, "measure", noted)
    monkeypatch.setattr(estimate, "BUDGET", 0.0)
    larger, smaller = cells("p4cnn@13", "p4cnn@11")
    found = estimate.forecast([larger, smaller])
    assert measured == ["p4cnn@11"]
    assert all(isinstance(one, estimate.Estimate) for one in found)
    assert [one.measured for one in found if isinstance(one, estimate.Estimate)] == [False, True]
    one, other = (one.train_seconds for one in found if isinstance(one, estimate.Estimate))
    ratio = estimate.expected_macs(larger) / estimate.expected_macs(smaller)
    assert one / other == pytest.approx(ratio) == pytest.approx((13 / 11) ** 2, rel=1e-3)


def test_a_large_network_is_neither_built_nor_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(estimate, "LARGE", 1)
    monkeypatch.setattr(Registry, "build", lambda *_: pytest.fail("it was built"))
    (found,) = estimate.forecast(cells("p4cnn@12"))
    assert isinstance(found, estimate.Estimate)
    assert not found.measured
    assert found.train_seconds > 0


def test_what_layers_learn_between_epochs_is_counted_where_they_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a training's twelve epochs three: of the others nothing is known that costs time. A device is waited for."""
    clock = queued = 0.0

    class Learning(nn.Module):
        def learn_between_epochs(self, epoch: int, batches: Iterable[tuple[torch.Tensor, torch.Tensor]]) -> None:
            nonlocal queued
            if epoch % 4 == 0:
                queued += sum(len(images) for images, _ in batches)

    def wait(_: torch.device) -> None:
        nonlocal clock, queued
        clock, queued = clock + queued, 0.0

    monkeypatch.setattr(speed, "synchronise", wait)
    monkeypatch.setattr("gcnnbench.runs.speed.time.perf_counter", lambda: clock)
    (cell,) = cells("z2cnn@12")
    recipe = cell.card.recipe.model_copy(update={"epochs": 12, "batch_size": 64})
    dataset = cell.registry.dataset(cell.card.dataset)
    images = prepare(speed.made_up(dataset, 8), cell.card.input, 12, torch.device("cpu"))
    assert speed._learning_seconds(nn.Sequential(Learning(), nn.Identity()), images, recipe) == 3 * 64
    assert speed._learning_seconds(nn.Identity(), images, recipe) == 0
    with_it, without = (
        estimate._estimate(cell, speed.Speed(1.0, 1.0, 1, between_epochs=seconds), 1) for seconds in (192.0, 0.0)
    )
    assert with_it.train_seconds - without.train_seconds == 192
