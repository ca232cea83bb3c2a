"""Cells on an engine end with the bits that they have here; lost workers cost a state and never a finished cell."""

from __future__ import annotations

import os
import pickle
import signal
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gcnnbench.errors import UserError
from gcnnbench.runs import elsewhere, engine, ray_engine, turns
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.elsewhere import packed, take_whole, unpacked
from gcnnbench.runs.engine import MOST_LOSSES, hand_out
from gcnnbench.runs.events import Event
from gcnnbench.runs.executors import ExecutorEngine
from gcnnbench.runs.local import execute
from gcnnbench.runs.plan import status
from gcnnbench.runs.record import Record
from gcnnbench.runs.store import Store
from gcnnbench.runs.turns import Message, Turn
from tests.stored_records import record

MakeCell = Callable[..., Cell]


class Inline:
    """An engine that takes a turn at once, from bytes to bytes; `faults` says what happens to the turns first."""

    streams = False
    slots = 2

    def __init__(self, *faults: Exception | None) -> None:
        self.faults, self.turns, self.closed = list(faults), list[Turn](), False

    def submit(self, turn: Turn, tell: Callable[[Message], None]) -> Future[None]:
        self.turns.append(turn)
        done: Future[None] = Future()
        fault = self.faults.pop(0) if self.faults else None
        if fault is not None:
            done.set_exception(fault)
            return done
        there = pickle.dumps(take_whole(pickle.loads(pickle.dumps(turn))))
        for message in pickle.loads(there):
            tell(message)
        done.set_result(None)
        return done

    def close(self) -> None:
        self.closed = True


def told(events: Sequence[Event], *kinds: str) -> list[str]:
    return [f"{event.kind} {event.cell[-6:]}: {event.text}" for event in events if event.kind in kinds]


def same_but_for_provenance(one: Record, other: Record) -> bool:
    """Whether two records are the same but for where and when they were made, and what it cost."""

    def content(record: Record) -> object:
        kept = record.model_dump(mode="json", exclude={"provenance", "checksum", "cost"})
        for epoch in kept["training"]["history"]:
            del epoch["seconds"]
        return kept

    return content(one) == content(other)


@pytest.mark.parametrize(
    ("beginning", "seconds", "limit"),
    [(0.1, 30.0, 30.0), (6.0, 30.0, 120.0), (60.0, 30.0, 300.0)],
    ids=["soon begun", "slowly begun", "very slowly begun"],
)
def test_a_turn_that_took_long_to_begin_goes_on_for_longer(
    beginning: float, seconds: float, limit: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an executor's cells would read and resize their images as long as they train."""
    now = 0.0
    monkeypatch.setattr("gcnnbench.runs.turns.time.monotonic", lambda: now)
    clock = turns._Clock(Turn((), (), 30.0, seconds))
    now = beginning + 1.0
    clock.stepped(1.0)
    now = limit - 0.01
    early = clock.over
    now = limit
    assert (early, clock.over) == (False, True)
    clock.stepped(1.0)
    assert clock.beginning == pytest.approx(beginning), "only the first step tells"


@pytest.fixture
def pair(make_cell: MakeCell) -> list[Cell]:
    return [make_cell("z2cnn@8", seed) for seed in (0, 1)]


def test_turns_of_one_step_end_with_the_bits_of_this_machine(make_cell: MakeCell, tmp_path: Path) -> None:
    here, there, events, turns = Store(tmp_path / "here"), Store(tmp_path / "there"), list[Event](), Inline()
    cell = make_cell("z2cnn@8")
    execute([cell], here, lambda _: None)
    ended = hand_out([cell], there, events.append, turns, seconds=0.0)
    assert [event.kind for event in ended] == ["finished"]
    assert told(events, "started") == ["started seed 0: started on cpu, threads: 1"]
    assert turns.closed
    assert same_but_for_provenance(record(here, cell), record(there, cell))
    assert record(there, cell).provenance.sessions == len(turns.turns) > 4, "three epochs, and conditions"
    assert status(there, cell) == "done"
    assert not there.state_path(cell).exists()


@pytest.mark.parametrize(("graphs", "at_once"), [(False, 2), (True, None)], ids=["as one computation", "side by side"])
def test_seeds_trained_at_once_go_from_turn_to_turn_together(
    pair: list[Cell], tmp_path: Path, *, graphs: bool, at_once: int | None
) -> None:
    pair = [replace(cell, cuda_graphs=graphs) for cell in pair]
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    execute(pair, here, lambda _: None, parallel=2)
    hand_out(pair, there, lambda _: None, Inline(), parallel=2, seconds=0.0)
    for cell in pair:
        assert same_but_for_provenance(record(here, cell), record(there, cell))
        assert record(there, cell).provenance.seeds_at_once == at_once


def test_a_lost_worker_costs_what_came_since_the_last_state(make_cell: MakeCell, tmp_path: Path) -> None:
    cell, store, events = make_cell("z2cnn@8"), Store(tmp_path), list[Event]()
    lost = OSError("the node is gone")
    turns = Inline(lost, None, None, lost, lost)
    assert [event.kind for event in hand_out([cell], store, events.append, turns, seconds=0.0)] == ["finished"]
    assert told(events, "said") == [
        "said seed 0: its worker was lost; it goes on from the beginning (OSError: the node is gone)",
        *["said seed 0: its worker was lost; it goes on from its last state (OSError: the node is gone)"] * 2,
    ]
    assert turns.turns[3].states == turns.turns[5].states != (None,)
    execute([cell], Store(tmp_path / "here"), lambda _: None)
    assert record(store, cell).weights == record(Store(tmp_path / "here"), cell).weights


def test_a_cell_that_always_loses_its_worker_is_stopped_alone(pair: list[Cell], tmp_path: Path) -> None:
    class Killed(Inline):
        """Seed 0 takes its worker with it, and all that runs beside it."""

        def __init__(self) -> None:
            super().__init__()
            self.waiting: list[tuple[Turn, Callable[[Message], None], Future[None]]] = []

        def submit(self, turn: Turn, tell: Callable[[Message], None]) -> Future[None]:
            done: Future[None] = Future()
            if turn.cells[0].seed:
                self.waiting.append((turn, tell, done))
                if len(self.turns) >= engine.ALONE:
                    self.waiting.clear()
                    return super().submit(turn, tell)
                return done
            self.turns.append(turn)
            for _, _, beside in self.waiting:
                beside.set_exception(OSError("pool"))
            self.waiting.clear()
            done.set_exception(OSError("pool"))
            return done

    store = Store(tmp_path)
    killed = Killed()
    ended = hand_out(list(reversed(pair)), store, lambda _: None, killed)
    assert [(event.kind, event.cell[-6:]) for event in ended] == [("stopped", "seed 0"), ("finished", "seed 1")] or [
        (event.kind, event.cell[-6:]) for event in ended
    ] == [("finished", "seed 1"), ("stopped", "seed 0")]
    assert sum(turn.cells[0].seed == 0 for turn in killed.turns) == MOST_LOSSES
    assert store.failure(pair[0]) is None, "it is no failure of the cell's"
    assert status(store, pair[0]) == "planned"


def test_seeds_that_always_lose_their_worker_together_are_stopped_together(pair: list[Cell], tmp_path: Path) -> None:
    turns = Inline(*[OSError("pool")] * 20)
    ended = hand_out(pair, Store(tmp_path), lambda _: None, turns, parallel=2)
    assert len(turns.turns) == MOST_LOSSES
    assert told(ended, "stopped") == [
        f"stopped seed {seed}: its worker was lost {MOST_LOSSES} times in a row (OSError: pool)" for seed in (0, 1)
    ]


def test_a_cell_ends_on_a_cluster_of_many_kinds(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machines = iter(range(1000))
    monkeypatch.setattr(Cell, "machine", property(lambda _: f"machine {next(machines)}"))
    store, events = Store(tmp_path), list[Event]()
    ended = hand_out([make_cell("z2cnn@8")], store, events.append, Inline(), seconds=0.02)
    assert [event.kind for event in ended] == ["finished"]
    assert "started anew: its checkpoint is one of another machine: machine" in told(events, "said")[0]


def test_what_another_process_holds_is_waited_for(
    pair: list[Cell], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "WAIT_SECONDS", 0.01)
    store, events = Store(tmp_path), list[Event]()
    held = Store(tmp_path).claim(pair[0])
    assert held.__enter__()

    def report(event: Event) -> None:
        events.append(event)
        if event.kind == "waiting":
            held.__exit__(None, None, None)

    ended = hand_out(pair, store, report, Inline())
    assert [event.cell[-6:] for event in ended] == ["seed 1", "seed 0"]
    assert [event.total for event in events if event.kind == "waiting"] == [1]


@pytest.mark.parametrize("what", ["record", "failure", "state"])
def test_what_a_worker_makes_of_another_protocol_is_not_taken(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    class Newer(Inline):
        """Its workers have another version of the suite."""

        def submit(self, turn: Turn, tell: Callable[[Message], None]) -> Future[None]:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("gcnnbench.runs.spec.NUMERICS_VERSION", 1000)
                return super().submit(replace(turn, cells=tuple(map(fresh, turn.cells))), tell)

    def fresh(cell: Cell) -> Cell:
        return replace(cell)

    def diverged(*_: object, **__: object) -> torch.Tensor:
        return torch.full((), float("nan"), requires_grad=True)

    cell, store = make_cell("z2cnn@8"), Store(tmp_path)
    assert cell.digest
    if what == "failure":
        monkeypatch.setattr("gcnnbench.training.loop.F.cross_entropy", diverged)
    (event,) = hand_out([cell], store, lambda _: None, Newer(), seconds=0.0 if what == "state" else 3600.0)
    assert event.kind == "stopped"
    other = "gcnnbench" if what == "record" else "another version of the suite"
    assert f"a worker ran another protocol under its name, with {other}" in event.text
    assert status(store, cell) == "planned"


def test_a_worker_without_the_entry_or_the_data_stops_the_cell_and_says_so(
    make_cell: MakeCell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elsewhere, "_installed", lambda *_: None)
    (event,) = hand_out([make_cell("z2cnn@8")], Store(tmp_path), lambda _: None, NoCode())
    assert event.kind == "stopped"
    assert event.text == "model z2cnn: a worker has no such entry in its installation"


class NoCode(Inline):
    def submit(self, turn: Turn, tell: Callable[[Message], None]) -> Future[None]:
        bare = tuple(replace(cell, registry=replace(cell.registry, paths={})) for cell in turn.cells)
        return super().submit(replace(turn, cells=bare), tell)


def test_a_cell_travels_light_and_finds_its_code_in_another_installation(make_cell: MakeCell) -> None:
    cell = make_cell("p4cnn@8")
    light = packed(cell, Path("/data"))
    assert len(pickle.dumps(light)) < len(pickle.dumps(cell)) / 10
    assert light.registry.paths == {}, "the paths of this machine stay here"
    assert light.data == Path("/data")
    assert light.digest == cell.digest
    there = unpacked(light)
    assert there.registry.paths == {key: cell.registry.paths[key] for key in there.registry.paths}
    assert len(there.registry.paths) == 2


def test_a_process_pool_whose_worker_is_killed(make_cell: MakeCell, tmp_path: Path) -> None:
    factory = tmp_path / "pool.py"
    factory.write_text(
        "from concurrent.futures import ProcessPoolExecutor\nfrom multiprocessing import get_context\n"
        "def pool():\n    return ProcessPoolExecutor(1, mp_context=get_context('spawn'))\n"
    )
    here, store, cell, events = Store(tmp_path / "here"), Store(tmp_path / "there"), make_cell("z2cnn@8"), list[Event]()
    execute([cell], here, lambda _: None)
    pool = ExecutorEngine(f"{factory}:pool")
    first = pool.executor

    def report(event: Event) -> None:
        events.append(event)
        if event.kind == "advanced" and pool.executor is first:
            (process,) = first._processes  # type: ignore[attr-defined]
            os.kill(process, signal.SIGKILL)

    ended = hand_out([cell], store, report, pool, seconds=0.0)
    assert [event.kind for event in ended] == ["finished"]
    assert pool.executor is not first
    assert "its worker was lost; it goes on from its last state (BrokenProcessPool: " in told(events, "said")[0]
    assert same_but_for_provenance(record(here, cell), record(store, cell))


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("", "make", "there is no 'make' in it"),
        ("import nowhere_to_be_found", "make", "does not import: ModuleNotFoundError: No module named 'nowhere"),
        ("def make():\n    return 3", "make", "made int; it must make a concurrent.futures.Executor"),
        ("def make():\n    raise OSError('no scheduler')", "make", "makes no executor: OSError: no scheduler"),
        (
            "from concurrent.futures import Executor as make",
            "make",
            "its Executor does not say how many workers it has; --jobs N",
        ),
    ],
)
def test_a_factory_that_is_none_is_told_in_a_sentence(content: str, name: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(content)
    with pytest.raises(UserError) as caught:
        ExecutorEngine(f"{tmp_path / 'own.py'}:{name}")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_cause_is_the_last_line_of_a_traceback() -> None:
    text = "\x1b[36mray::_stream()\x1b[39m (pid=7)\n  File …\nModuleNotFoundError: No module named 'gcnnbench'\n"
    assert ray_engine.cause(RuntimeError(text)) == "ModuleNotFoundError: No module named 'gcnnbench'"


def test_without_ray_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"--on ray needs Ray: python -m pip install 'gcnnbench\[ray\]'"):
        ray_engine.RayEngine()
