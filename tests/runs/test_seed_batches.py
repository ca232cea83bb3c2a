"""Seeds trained at once keep their own records, checkpoints and failures, and go on when interrupted."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from gcnnbench.errors import UserError
from gcnnbench.runs import estimate, turns, worker
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import train_cells
from gcnnbench.runs.checkpoints import dump
from gcnnbench.runs.events import Event
from gcnnbench.runs.local import execute
from gcnnbench.runs.seed_batches import Batches
from gcnnbench.runs.state import CellState, start
from gcnnbench.runs.store import Store
from gcnnbench.runs.turns import Restarted, Saved, Turn, take
from gcnnbench.training.loop import DivergedError, train_by_steps
from tests.stored_records import record

MakeCell = Callable[..., Cell]


@pytest.fixture
def pair(make_cell: MakeCell) -> list[Cell]:
    return [make_cell("z2cnn@8", seed) for seed in (0, 1)]


def test_each_seed_has_the_record_that_it_has_alone(pair: list[Cell], tmp_path: Path) -> None:
    together, alone = Store(tmp_path / "together"), Store(tmp_path / "alone")
    execute(pair, together, lambda _: None, parallel=2)
    execute(pair, alone, lambda _: None)
    for cell in pair:
        one, other = record(together, cell), record(alone, cell)
        assert (one.provenance.seeds_at_once, other.provenance.seeds_at_once) == (2, None)
        assert one.training.tested_epoch == other.training.tested_epoch
        for ours, theirs in zip(one.training.history, other.training.history, strict=True):
            assert ours.train_loss == pytest.approx(theirs.train_loss, rel=1e-4)
        assert one.metrics["accuracy.orbit"] == pytest.approx(other.metrics["accuracy.orbit"], abs=0.02)
        assert together.path(cell).with_suffix(".safetensors").exists()
        assert not together.state_path(cell).exists()


def test_interrupted_in_training_or_scoring_it_ends_with_the_same_bits(
    pair: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CHECKPOINT_SECONDS", 0.0)
    whole, stopped = Store(tmp_path / "whole"), Store(tmp_path / "stopped")
    execute(pair, whole, lambda _: None, parallel=2)

    def interrupt_at(phase: str, done: int) -> Callable[[Event], None]:
        def report(event: Event) -> None:
            if (event.kind, event.phase, event.done) == ("advanced", phase, done):
                raise KeyboardInterrupt

        return report

    for phase, done in (("training", 2), ("scoring", 3)):
        with pytest.raises(KeyboardInterrupt):
            execute(pair, stopped, interrupt_at(phase, done), parallel=2)
    told: list[Event] = []
    execute(pair, stopped, told.append, parallel=2)
    assert [event.text.partition(" on ")[0] for event in told if event.kind == "started"] == [
        "resumed after epoch 3, in evaluation"
    ] * 2
    for cell in pair:
        assert record(stopped, cell).weights == record(whole, cell).weights
        assert record(stopped, cell).outputs == record(whole, cell).outputs


def test_what_was_trained_together_is_not_gone_on_with_alone(
    pair: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "CHECKPOINT_SECONDS", 0.0)
    store, told = Store(tmp_path), list[Event]()

    def interrupt(event: Event) -> None:
        if event.done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(pair, store, interrupt, parallel=2)
    assert store.state_path(pair[0]).exists()
    execute(pair[:1], store, told.append)
    assert [event.text for event in told[:2]] == [
        "started anew: its checkpoint was made with 2 seeds as one computation",
        "started on cpu, threads: 1",
    ]
    assert record(store, pair[0]).provenance.seeds_at_once is None


def test_a_seed_that_diverges_fails_alone(pair: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def losing(cells: Sequence[Cell], states: Sequence[CellState]) -> Iterator[dict[int, DivergedError]]:
        return ({0: DivergedError("the loss is nan in epoch 1")} for _ in train_cells(cells, states))

    monkeypatch.setattr(turns, "train_cells", losing)
    store = Store(tmp_path)
    ended = execute(pair, store, lambda _: None, parallel=2)
    assert [(event.kind, event.cell[-6:]) for event in ended] == [("failed", "seed 0"), ("finished", "seed 1")]
    assert (failure := store.failure(pair[0])) is not None
    assert failure.reason == "the loss is nan in epoch 1"


def test_an_entry_without_a_stacked_form_runs_one_by_one_and_it_is_said(
    pair: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UserError("conv1 (Conv2d) has no form for several seeds at once")

    monkeypatch.setattr("gcnnbench.training.many_seeds.stack", refuse)
    store, told = Store(tmp_path), list[Event]()
    ended = execute(pair, store, told.append, parallel=2)
    assert [event.kind for event in ended] == ["finished", "finished"]
    assert [event.text for event in told if event.kind == "said"] == [
        "seeds are trained one after another: conv1 (Conv2d) has no form for several seeds at once"
    ]
    assert record(store, pair[0]).provenance.seeds_at_once is None


@pytest.mark.parametrize("graphs", [False, True])
def test_that_seeds_start_anew_is_told_so_that_an_engine_gives_them_longer_turns(
    pair: list[Cell], monkeypatch: pytest.MonkeyPatch, *, graphs: bool
) -> None:
    """On machines of several kinds they would start anew for ever; what was trained alone fits no other seed."""
    monkeypatch.setattr(turns, "train_cells", lambda *_: iter(()))
    cells = tuple(replace(cell, cuda_graphs=graphs) for cell in pair)
    alone, elsewhere = start(cells[0]), replace(start(cells[1]), machine="of another kind")
    messages = take(Turn(cells, (dump(alone), dump(elsewhere)), 0.0))
    anew = {message.cell[-6:]: message.why for message in islice(messages, 4) if isinstance(message, Restarted)}
    assert anew.pop("seed 1") == "its checkpoint is one of another machine: of another kind"
    unfit = {"seed 0": "its checkpoint does not fit those of the seeds that it is trained with"}
    assert anew == ({} if graphs else unfit)


def test_seeds_that_go_on_one_by_one_are_not_said_to_start_anew(
    pair: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their checkpoints do not fit a computation that there cannot be, so that each goes on from its own."""

    def refuse(*_: object) -> None:
        raise UserError("conv1 (Conv2d) has no form for several seeds at once")

    monkeypatch.setattr("gcnnbench.training.many_seeds.stack", refuse)
    kept = []
    for cell in pair:
        *_, saved = take(Turn((cell,), (None,), 0.0, 0.0))
        assert isinstance(saved, Saved)
        kept.append(saved.state)
    messages = list(take(Turn(tuple(pair), tuple(kept), 0.0)))
    assert [message for message in messages if isinstance(message, Restarted)] == []
    told = [message.text for message in messages if isinstance(message, Event) and message.kind == "started"]
    assert told[2:] == ["resumed after epoch 1, in training on cpu, threads: 1"] * 2


@pytest.mark.parametrize("then", [1, 2])
def test_side_by_side_a_record_has_the_bits_that_it_has_alone(
    pair: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, then: int
) -> None:
    """Whole, and interrupted and gone on with alone or side by side: what it was trained beside leaves no trace."""
    monkeypatch.setattr(worker, "CHECKPOINT_SECONDS", 0.0)
    pair = [replace(cell, cuda_graphs=True) for cell in pair]
    stopped, alone, told = Store(tmp_path / "stopped"), Store(tmp_path / "alone"), list[Event]()

    def interrupt(event: Event) -> None:
        told.append(event)
        if event.done == 2:
            raise KeyboardInterrupt

    execute(pair, alone, lambda _: None)
    with pytest.raises(KeyboardInterrupt):
        execute(pair, stopped, interrupt, parallel=2)
    assert [event.text for event in told if event.kind == "started"] == [
        "started on cpu, threads: 1, 2 seeds side by side"
    ] * 2
    del told[:]
    execute(pair, stopped, told.append, parallel=then)
    beside = ", 2 seeds side by side" if then == 2 else ""
    assert [event.text for event in told if event.kind == "started"][: len(pair)] == [
        f"resumed after epoch 1, in training on cpu, threads: 1{beside}"
    ] * 2
    for cell in pair:
        one, other = record(stopped, cell), record(alone, cell)
        assert (one.weights, one.outputs, one.counts) == (other.weights, other.outputs, other.counts)
        assert one.provenance.seeds_at_once is None


def test_side_by_side_a_seed_that_fails_leaves_the_others(
    pair: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a machine does to one is no failure of it; nor does it cost the other one anything."""

    def failing(*given: Any) -> Any:
        steps = train_by_steps(*given)
        if given[1].seed == 0:
            next(steps)
            raise MemoryError("no memory for a recording")
        yield from steps

    monkeypatch.setattr("gcnnbench.training.side_by_side.train_by_steps", failing)
    pair = [replace(cell, cuda_graphs=True) for cell in pair]
    ended = execute(pair, Store(tmp_path), lambda _: None, parallel=2)
    assert [(event.kind, event.cell[-6:]) for event in ended] == [("stopped", "seed 0"), ("finished", "seed 1")]


def test_batches_hold_seeds_of_one_entry_and_auto_what_fits(
    make_cell: MakeCell, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [make_cell(entry, seed) for seed in range(3) for entry in ("z2cnn@8", "p4cnn@8")]

    def cut(parallel: int) -> list[list[tuple[str, int]]]:
        return [[(cell.entry, cell.seed) for cell in batch] for batch in Batches(parallel, 1).of(cells)]

    assert [len(batch) for batch in cut(1)] == [1] * 6
    assert cut(2) == [
        [("z2cnn@8", 0), ("z2cnn@8", 1)],
        [("z2cnn@8", 2)],
        [("p4cnn@8", 0), ("p4cnn@8", 1)],
        [("p4cnn@8", 2)],
    ]
    peaks = iter([10_000_000, 30_000_000])
    monkeypatch.setattr(estimate, "peak_memory", lambda _: next(peaks))
    monkeypatch.setattr(estimate, "free_memory", lambda _: 110_000_000)
    # 80% of 110 MB for two jobs is 44 MB; a seed takes 20 MB and 1,797 images of 64 bytes
    assert estimate.seeds_that_fit(cells[0], most=3, jobs=2) == 2
