"""A cell gives the same bits when repeated, resumed or pickled, and says why when it fails."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from gcnnbench.cards.recipe import Adam
from gcnnbench.cards.registry import Registry
from gcnnbench.data.registered import load_dataset
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_cell
from gcnnbench.runs.checkpoints import Stated, stated_in
from gcnnbench.runs.events import outcome
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.record import Record
from gcnnbench.runs.state import CellState, start
from gcnnbench.runs.store import Store
from gcnnbench.scoring.metrics import differences, inconsistencies, metrics
from gcnnbench.training.loop import DivergedError
from tests import checkpoint_files

TIMES = {"checksum", "seconds", "started", "finished", "sessions"}


def finish(cell: Cell, state: CellState | None = None) -> Finished:
    *_, last = run_cell(cell, state)
    assert isinstance(last, Finished)
    return last


def without_times(record: Record) -> Any:
    """The record as JSON data, less what a clock or the memory says."""

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: strip(inner) for key, inner in value.items() if key not in TIMES}
        return [strip(inner) for inner in value] if isinstance(value, list) else value

    data = record.model_dump(mode="json")
    data["cost"] = {key: data["cost"][key] for key in ("parameters", "macs")}
    return strip(data)


@pytest.fixture(scope="module")
def once(tiny_registry: Registry) -> Finished:
    return finish(Cell(tiny_registry, "tiny", "p4cnn@8", 0, "cpu", 1, Path("unused")))


def test_a_cell_repeats_itself_bit_for_bit(once: Finished, make_cell: Callable[..., Cell]) -> None:
    again = finish(make_cell())
    assert again.weights == once.weights
    assert again.outputs == once.outputs
    assert without_times(again.record) == without_times(once.record)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_cell_repeats_itself_bit_for_bit_on_a_gpu(tiny_registry: Registry) -> None:
    cell = Cell(tiny_registry, "tiny", "p4cnn@8", 0, "cuda", 1, Path("unused"))
    first, second = finish(cell), finish(cell)
    assert second.weights == first.weights
    assert second.outputs == first.outputs
    assert first.record.provenance.deterministic_algorithms
    recorded = finish(replace(cell, cuda_graphs=True))
    assert recorded.weights == first.weights
    assert recorded.record.provenance.cuda_graphs


def test_a_record_names_graphs_only_where_steps_were_replayed(once: Finished, make_cell: Callable[..., Cell]) -> None:
    cell = replace(make_cell(), cuda_graphs=True)
    assert once.record.provenance.cuda_graphs is None
    assert outcome(cell, once).endswith("; without CUDA graphs: it has layers whose steps cannot be recorded")
    there = once.record.model_copy(
        update={"provenance": once.record.provenance.model_copy(update={"cuda_graphs": True})}
    )
    assert "graphs" not in outcome(cell, replace(once, record=there)) + outcome(make_cell(), once)


def test_another_seed_gives_another_network(once: Finished, make_cell: Callable[..., Cell]) -> None:
    assert finish(make_cell(seed=1)).weights != once.weights


def test_the_global_generator_is_left_alone_and_has_no_say(once: Finished, make_cell: Callable[..., Cell]) -> None:
    torch.manual_seed(123)
    before = torch.get_rng_state()
    assert finish(make_cell()).weights == once.weights
    assert torch.equal(torch.get_rng_state(), before)


def test_a_pickled_cell_is_the_same_cell(make_cell: Callable[..., Cell]) -> None:
    cell = make_cell()
    assert pickle.loads(pickle.dumps(cell)).digest == cell.digest


@pytest.fixture(scope="module")
def stopped(tiny_registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> tuple[Cell, list[Store]]:
    """A cell and its checkpoints after each of the seven epochs and conditions that it stops after."""
    cell = Cell(tiny_registry, "tiny", "p4cnn@8", 0, "cpu", 1, Path("unused"))
    state, stores = start(cell), [Store(tmp_path_factory.mktemp("stopped")) for _ in range(7)]
    for store, _ in zip(stores, run_cell(cell, state), strict=False):
        checkpoint_files.save(store, cell, state)
    return cell, stores


@pytest.mark.parametrize("stop_after", range(7))
def test_a_resumed_cell_ends_with_the_same_bits(
    once: Finished, stopped: tuple[Cell, list[Store]], stop_after: int
) -> None:
    """Stopped after each epoch and each condition, through a checkpoint on disk."""
    cell, stores = stopped
    resumed, why = checkpoint_files.load(stores[stop_after], cell)
    assert resumed is not None, why
    last = finish(cell, resumed)
    assert last.weights == once.weights
    assert last.outputs == once.outputs
    assert without_times(last.record) == without_times(once.record)
    assert last.record.provenance.sessions == 2


def test_a_state_of_another_machine_or_protocol_is_not_resumed(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, store = make_cell(), Store(tmp_path)
    state = start(cell)
    next(iter(run_cell(cell, state)))
    checkpoint_files.save(store, cell, state)
    assert checkpoint_files.load(store, cell)[0] is not None
    found, why = checkpoint_files.load(store, make_cell(threads=2))
    assert found is None
    assert "its checkpoint is one of another machine: " in str(why)
    monkeypatch.setattr("gcnnbench.runs.spec.NUMERICS_VERSION", 1000)
    assert checkpoint_files.load(store, make_cell()) == (None, "its checkpoint is one of another protocol")


def test_a_checkpoint_says_what_it_is_before_its_tensors_and_an_older_one_still_loads(
    make_cell: Callable[..., Cell], tmp_path: Path
) -> None:
    cell, store = make_cell(), Store(tmp_path)
    checkpoint_files.save(store, cell, replace(start(cell), seeds_at_once=3, place=1))
    path = store.state_path(cell)
    assert stated_in(store, cell) == Stated(cell.digest, 3, 1, 0)
    line, _, tensors = path.read_bytes().partition(b"\n")
    path.write_bytes(line.replace(b": 3", b": 4") + b"\n" + tensors)
    assert "it is damaged" in str(checkpoint_files.load(store, cell)[1])
    path.write_bytes(b"gcnnbench state 1 %s %d\n" % (sha256(tensors).hexdigest().encode(), len(tensors)) + tensors)
    found, why = checkpoint_files.load(store, cell)
    assert found is not None, why
    assert (found.seeds_at_once, stated_in(store, cell)) == (3, None)


def test_what_stands_in_the_place_of_a_checkpoint_never_ends_a_run(
    make_cell: Callable[..., Cell], tmp_path: Path
) -> None:
    cell, store = make_cell(), Store(tmp_path)
    assert checkpoint_files.load(store, cell) == (None, None)
    checkpoint_files.save(store, cell, start(cell))
    path = store.state_path(cell)
    path.unlink()
    path.mkdir()
    assert checkpoint_files.load(store, cell) == (None, "its checkpoint cannot be read (it is no plain file)")
    path.rmdir()
    path.write_bytes(b"PK\x03\x04 of another suite")
    assert "it is of another form" in str(checkpoint_files.load(store, cell)[1])


def test_a_clock_that_is_set_back_between_two_sessions_makes_no_record_that_ends_before_it_began(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, store, clock = make_cell("z2cnn@8"), Store(tmp_path), ["2026-11-27T12:00:00+00:00"]
    monkeypatch.setattr("gcnnbench.runs.provenance.now", lambda: clock[0])
    state = start(cell)
    next(iter(run_cell(cell, state)))
    checkpoint_files.save(store, cell, state)
    clock[0] = "2026-11-27T09:00:00+00:00"
    resumed, why = checkpoint_files.load(store, cell)
    assert resumed is not None, why
    clock[0] = "2026-11-27T08:00:00+00:00"
    made = finish(cell, resumed).record.provenance
    assert made.started == made.finished == "2026-11-27T09:00:00+00:00"


def test_the_record_agrees_with_its_files_and_with_itself(once: Finished, make_cell: Callable[..., Cell]) -> None:
    record, outputs = once.record, safetensors.torch.load(once.outputs)
    assert inconsistencies(record.counts) == []
    seen = make_cell().card.evaluation.seen
    error = record.equivariance.after.invariance_error
    assert differences(record.metrics, metrics(record.counts, seen, invariance_error=error)) == []
    assert outputs["logits"].shape == (4, 64, 10)
    assert outputs["angle_classes"].shape == (4, 64)
    upright = (outputs["logits"][0].argmax(1) == outputs["labels"]).float().mean()
    assert record.metrics["accuracy.upright"] == pytest.approx(float(upright), abs=1e-7)
    best = max(record.training.history, key=lambda epoch: epoch.validation_accuracy or 0)
    assert record.training.tested_epoch == best.epoch
    assert record.official
    assert record.cost.parameters == 24_810  # 24,990 less two input channels of 10 planes and 9 weights


def test_exact_and_approximate_networks_differ(once: Finished, make_cell: Callable[..., Cell]) -> None:
    exact, broken = once.record, finish(make_cell("p4cnn@9")).record
    assert exact.equivariance.exactness_after is not None
    assert broken.equivariance.exactness_after is not None
    assert exact.equivariance.exactness_after.certificate == "exact"
    assert broken.equivariance.exactness_after.certificate == "approximate"
    assert exact.equivariance.after.invariance_error is not None
    assert exact.equivariance.after.invariance_error < 1e-10
    assert (broken.equivariance.after.invariance_error or 0) > 1e-3
    turned = {name: exact.metrics[f"accuracy.{name}"] for name in ("upright", "rot90", "rot180", "rot270")}
    assert len(set(turned.values())) == 1
    assert set(exact.equivariance.relaxation) == {*(d.depth for d in exact.equivariance.after.depths), "logits"}


def test_a_diverging_cell_fails_with_its_epoch(make_cell: Callable[..., Cell], monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> torch.Tensor:
        return torch.full((), float("nan"), requires_grad=True)

    monkeypatch.setattr("gcnnbench.training.loop.F.cross_entropy", broken)
    with pytest.raises(DivergedError, match=r"the loss is nan in epoch 1"):
        finish(make_cell())


def test_a_limited_cell_is_unofficial(make_cell: Callable[..., Cell]) -> None:
    record = finish(make_cell("z2cnn@8", limit=64)).record
    assert not record.official
    assert record.unofficial_because == "limited to 64 images a share"
    assert sum(map(sum, record.counts.elements["upright"])) == 64


def test_training_is_that_of_pytorch_written_out(tiny_registry: Registry) -> None:
    """The loop against a bare one: Adam with decay in the gradient, StepLR after each epoch, first best epoch kept."""
    from gcnnbench.data.images import prepare
    from gcnnbench.data.streams import derive, generator
    from gcnnbench.training.loop import train
    from gcnnbench.training.task import Task, TrainingState

    card = tiny_registry.benchmark("tiny")
    part = load_dataset(tiny_registry, "digits", Path("unused"))["all"]
    images = prepare(part.select(slice(96)), card.input, 16)
    adam = Adam(name="adam", learning_rate=0.01, weight_decay=1e-5)
    recipe = card.recipe.model_copy(update={"epochs": 7, "tested_model": "last", "optimiser": adam})

    def network() -> nn.Module:
        torch.manual_seed(5)
        return nn.Sequential(nn.Flatten(), nn.Dropout(0.2), nn.Linear(256, 10)).double()

    ours, bare = network(), network()
    double = type("Double", (), {"__len__": lambda _: 96, "labels": images.labels})()
    double.augmented_batch = lambda index, *_: images.batch(index, torch.float64)
    task = Task("tiny", 3, recipe, double, None, torch.device("cpu"), 1)
    for _ in train(ours, task, TrainingState()):
        pass
    optimiser = torch.optim.Adam(bare.parameters(), lr=0.01, weight_decay=1e-5)
    schedule = torch.optim.lr_scheduler.StepLR(optimiser, 2, 0.5)
    for epoch in range(7):
        order = torch.randperm(96, generator=generator("tiny", 3, "order", epoch))
        torch.manual_seed(derive("tiny", 3, "network", epoch))
        for chosen in order.split(16):
            optimiser.zero_grad()
            nn.functional.cross_entropy(bare(images.batch(chosen, torch.float64)), images.labels[chosen]).backward()
            optimiser.step()
        schedule.step()
    for one, other in zip(ours.parameters(), bare.parameters(), strict=True):
        assert torch.equal(one, other)
