"""What the machine does to a run is no cell's failure and loses no training; what one call finished stays finished."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gcnnbench.cards.registry import Registry
from gcnnbench.errors import UserError
from gcnnbench.runs import outcomes, worker
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_cell
from gcnnbench.runs.events import Event
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.local import execute
from gcnnbench.runs.plan import status
from gcnnbench.runs.state import CellState
from gcnnbench.runs.store import Store
from gcnnbench.training.loop import DivergedError
from tests.full_disk import files_in, files_of_at_most


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "CHECKPOINT_SECONDS", -1.0)


def told(events: list[Event], *kinds: str) -> list[str]:
    return [f"{event.kind} {event.cell}: {event.text}" for event in events if event.kind in kinds]


def test_a_full_disk_at_the_end_throws_no_training_away(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell, store, events = make_cell("z2cnn@8"), Store(tmp_path), list[Event]()

    def full(contents: Mapping[Path, bytes], _: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(next(iter(contents))))

    with monkeypatch.context() as patched:
        patched.setattr("gcnnbench.runs.store.whole_files", full)
        with pytest.raises(UserError, match=r"seed-0\.safetensors: No space left on device"):
            execute([cell], store, events.append)
    assert store.state_path(cell).exists()
    assert not store.failure_path(cell).exists()
    assert status(store, cell) == "interrupted"
    assert [event.kind for event in execute([cell], store, events.append)] == ["finished"]
    assert any("resumed after epoch 3, in evaluation" in line for line in told(events, "started"))


def test_where_all_is_done_nothing_is_written(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    """The records may be on a disk that is read-only; nor is a directory of no records one that is asked for."""
    cell, store = make_cell("z2cnn@8"), Store(tmp_path)
    execute([cell], store, lambda _: None)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Store, "require_writable", lambda *_: pytest.fail("a place was tried"))
        assert execute([cell], store, lambda _: None) == []
        with pytest.raises(pytest.fail.Exception):
            execute([make_cell("z2cnn@8", 1)], store, lambda _: None)


def test_a_checkpoint_that_cannot_be_kept_ends_no_run(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    """It is told once, tried again, and told when the disk takes one again."""
    cell, store, events = make_cell("z2cnn@8"), Store(tmp_path), list[Event]()
    with ExitStack() as full:

        def report(event: Event) -> None:
            events.append(event)
            if event.kind == "started":
                full.enter_context(files_of_at_most(5000))
            if event.kind == "advanced" and event.done == 3:  # after two that could not be kept
                full.close()

        ended = execute([cell], store, report)
    assert [event.kind for event in ended] == ["finished"]
    first, again = told(events, "said")
    goes_on = "a checkpoint cannot be kept, it goes on, and the next is tried; interrupted before, it begins anew"
    assert f"{goes_on}; {store.state_path(cell)}: cannot be written (File too large)" in first
    assert again.endswith("its checkpoints are kept again")
    assert status(store, cell) == "done"


def test_a_record_that_does_not_fit_leaves_all_as_it_was(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    """Neither its weights without it, nor the old record set aside for nothing."""
    store, cell = Store(tmp_path), make_cell("z2cnn@8")
    finished = replace(_finished(cell), weights=b"small")
    old = finished.record.model_copy(update={"spec_digest": "1" * 64, "checksum": None})
    store.add(cell, replace(finished, record=old))
    before = files_in(tmp_path)
    with files_of_at_most(1000), pytest.raises(OSError, match="File too large") as wrong:
        store.add(cell, replace(finished, record=old.model_copy(update={"spec_digest": "2" * 64})))
    assert Path(str(wrong.value.filename)).suffix == ".json"
    assert files_in(tmp_path) == before


def test_a_disk_that_takes_no_record_ends_the_call_in_one_sentence(
    make_cell: Callable[..., Cell], tmp_path: Path
) -> None:
    store, cells = Store(tmp_path), [make_cell("z2cnn@8", seed) for seed in range(2)]
    with files_of_at_most(5000), pytest.raises(UserError, match="cannot be written") as wrong:
        execute(cells, store, lambda _: None)
    assert len(str(wrong.value).splitlines()) == 1
    assert files_in(tmp_path) == {}
    assert not any(store.is_held(cell) for cell in cells)


def test_a_place_of_records_that_takes_none_is_told_before_anything_is_trained(
    make_cell: Callable[..., Cell], tmp_path: Path
) -> None:
    store, cell, events = Store(tmp_path), make_cell("z2cnn@8"), list[Event]()
    store.record_path(cell).parent.parent.mkdir()
    store.record_path(cell).parent.write_bytes(b"a file in the place of the folder of its records")
    with pytest.raises(UserError, match="z2cnn@8: it is no directory, and one is needed in its place"):
        execute([cell], store, events.append)
    assert events == []


@pytest.mark.parametrize(
    "error",
    [
        MemoryError("16 GiB"),
        OSError(errno.EIO, "Input/output error", "/mnt/data"),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_machine_that_gives_out_stops_a_cell_and_keeps_its_state(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def giving_out(cell: Cell, state: CellState) -> Iterator[CellState | Finished]:
        run = run_cell(cell, state)
        yield next(run)
        if cell.seed == 0:
            raise error
        yield from run

    monkeypatch.setattr(outcomes, "run_cell", giving_out)
    store, cells = Store(tmp_path), [make_cell("z2cnn@8", seed) for seed in range(2)]
    ended = execute(cells, store, lambda _: None)
    assert [(event.kind, event.cell) for event in ended] == [
        ("stopped", "tiny@1 z2cnn@8 seed 0"),
        ("finished", "tiny@1 z2cnn@8 seed 1"),
    ]
    assert store.failure(cells[0]) is None
    assert status(store, cells[0]) == "interrupted"
    monkeypatch.setattr(outcomes, "run_cell", run_cell)
    events: list[Event] = []
    assert [event.kind for event in execute(cells, store, events.append)] == ["finished"]
    assert "resumed after epoch 1" in told(events, "started")[0]


def test_data_that_went_away_is_no_failure_of_the_cell(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: object) -> None:
        raise UserError("/mnt/data/train is missing")

    monkeypatch.setattr("gcnnbench.data.registered.load_parts", gone)
    store, cell = Store(tmp_path), make_cell("z2cnn@8")
    (event,) = execute([cell], store, lambda _: None)
    assert (event.kind, event.text) == ("stopped", "/mnt/data/train is missing")
    assert store.failure(cell) is None


def test_a_failing_try_out_leaves_no_official_failure(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def diverging(cell: Cell, state: CellState) -> Iterator[CellState | Finished]:
        raise DivergedError("the loss is nan in epoch 1")

    monkeypatch.setattr(outcomes, "run_cell", diverging)
    store, full, limited = Store(tmp_path), make_cell("z2cnn@8"), make_cell("z2cnn@8", limit=100)
    execute([full], store, lambda _: None)
    official = store.failure(full)
    assert official is not None
    assert official.official
    execute([limited], store, lambda _: None)
    tried = store.failure(limited)
    assert tried is not None
    assert not tried.official
    assert store.failure(full) == official
    assert sorted(path.name for path in tmp_path.glob("tiny@1/z2cnn@8/*")) == [
        "seed-0.failed.json",
        "seed-0.unofficial-failed.json",
    ]
    monkeypatch.setattr(outcomes, "run_cell", run_cell)
    execute([limited], store, lambda _: None)
    assert store.failure(limited) is None
    assert store.failure(full) == official, "a try-out that went well takes no failure of the whole cell away"


def test_two_protocols_of_one_name_do_not_redo_each_others_cells(
    make_cell: Callable[..., Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As soon as one of them has finished a cell, the other one sets its record aside."""
    store, cells = Store(tmp_path), [make_cell("z2cnn@8", seed) for seed in range(3)]
    assert len({cell.digest for cell in cells}) == 1
    monkeypatch.setattr("gcnnbench.runs.spec.NUMERICS_VERSION", 1000)
    others = {cell.name: make_cell("z2cnn@8", cell.seed) for cell in cells}
    assert all(other.digest != cells[0].digest for other in others.values())
    made = {seed: _finished(cell) for seed, cell in enumerate(others.values())}
    trained: list[str] = []

    def counting(cell: Cell, state: CellState) -> Iterator[CellState | Finished]:
        trained.append(cell.name)
        return run_cell(cell, state)

    events: list[Event] = []

    def report(event: Event) -> None:
        events.append(event)
        if event.kind == "finished":
            other = others[event.cell]
            store.add(other, made[other.seed])

    monkeypatch.setattr(outcomes, "run_cell", counting)
    ended = execute(cells, store, report)
    assert [event.kind for event in ended] == ["finished"] * 3
    assert trained == [cell.name for cell in cells]
    said = told(events, "said")
    assert len(said) == 3
    assert "one of another protocol of the same name and version" in said[0]
    aside = sorted(path.name for path in tmp_path.glob("tiny@1/z2cnn@8/*.stale-*.json"))
    assert aside == [f"seed-{seed}.stale-{cells[0].digest[:8]}.json" for seed in range(3)]


def test_nothing_set_aside_is_overwritten(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    store, cell = Store(tmp_path), make_cell("z2cnn@8")
    finished = _finished(cell)
    for number in range(5):
        record = finished.record.model_copy(update={"spec_digest": f"{number % 2}" * 64, "checksum": None})
        store.add(cell, replace(finished, record=record))
    kept = sorted(path.name for path in tmp_path.glob("tiny@1/z2cnn@8/*.json"))
    stale = [f"seed-0.stale-{digit * 8}{again}.json" for digit in "01" for again in ("", "_2")]
    assert kept == sorted(["seed-0.json", *stale])


def test_a_spec_that_names_no_copy_makes_no_record(
    tiny_registry: Registry, make_cell: Callable[..., Cell], tmp_path: Path
) -> None:
    card = tiny_registry.dataset("digits")
    opened = card.model_copy(update={"parts": {"all": card.parts["all"].model_copy(update={"digest": None})}})
    registry = replace(tiny_registry, datasets={**tiny_registry.datasets, "digits": opened})
    cell = replace(make_cell("z2cnn@8"), registry=registry)
    with pytest.raises(UserError, match="its spec names no copy of part all of digits"):
        execute([cell], Store(tmp_path), lambda _: None)
    finished = _finished(make_cell("z2cnn@8"))
    record = finished.record.model_copy(update={"spec": cell.spec, "spec_digest": cell.digest})
    with pytest.raises(UserError, match="its spec names no copy of part all"):
        Store(tmp_path).add(cell, replace(finished, record=record))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".lock", ".state"])
def test_a_folder_in_the_place_of_a_lock_or_checkpoint_is_told(
    make_cell: Callable[..., Cell], tmp_path: Path, suffix: str
) -> None:
    store, cell = Store(tmp_path), make_cell("z2cnn@8")
    store.state_path(cell).with_suffix(suffix).mkdir(parents=True)
    assert status(store, cell) == "planned"
    with pytest.raises(UserError, match=rf"seed-0\{suffix}: .*irectory"):
        execute([cell], store, lambda _: None)


def test_a_record_without_its_weights_is_not_done(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    store, cell = Store(tmp_path), make_cell("z2cnn@8")
    path = store.add(cell, _finished(cell))
    weights = path.with_suffix(".safetensors")
    content = weights.read_bytes()
    for lacking in (lambda: weights.unlink(), lambda: weights.write_bytes(content[:-1]), lambda: weights.mkdir()):
        if weights.is_dir():
            weights.rmdir()
        lacking()
        assert status(store, cell) == "incomplete"
        if weights.is_file():
            weights.unlink()
    weights.rmdir()
    assert [event.kind for event in execute([cell], store, lambda _: None)] == ["finished"]
    assert weights.read_bytes() == content
    assert status(store, cell) == "done"
    assert not list(path.parent.glob("*.stale-*"))


def test_status_writes_nothing(make_cell: Callable[..., Cell], tmp_path: Path) -> None:
    store = Store(tmp_path / "results")
    assert status(store, make_cell()) == "planned"
    assert list(tmp_path.iterdir()) == []
    with store.claim(make_cell()):
        assert status(Store(store.results), make_cell()) == "running"
    before = sorted(tmp_path.rglob("*"))
    assert status(store, make_cell()) == "planned"
    assert sorted(tmp_path.rglob("*")) == before


def _finished(cell: Cell) -> Finished:
    *_, last = run_cell(cell)
    assert isinstance(last, Finished)
    return last
