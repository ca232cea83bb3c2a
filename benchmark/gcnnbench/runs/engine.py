"""Hands cells to an engine, which runs them on any machines, and keeps what comes back in the store.

An engine takes turns (`runs/turns.py`) and gives messages, which are values. It writes nothing and needs no disk that
is shared: the store is written here, where the command runs. A worker that is lost costs its cells what they did since
their last state, and no finished cell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Protocol

from gcnnbench.errors import UserError, told
from gcnnbench.outside_text import as_line
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.elsewhere import of_this_protocol, packed
from gcnnbench.runs.events import Event, Report
from gcnnbench.runs.outcomes import Stopped
from gcnnbench.runs.store import Store
from gcnnbench.runs.turns import Ended, Message, Restarted, Saved, Turn
from gcnnbench.runs.work import ENDS, WAIT_SECONDS, Work, work_on

STATE_SECONDS = 30.0
"""How often an engine sends a cell's state back where nobody says otherwise."""
ALONE = 3
"""After so many losses in a row a task runs with no other one beside it, so that it is known which one is at fault."""

MOST_LOSSES = 5
"""After so many losses in a row, without a state in between, its cells are stopped."""


class Engine(Protocol):
    """Where cells run."""

    @property
    def streams(self) -> bool:
        """Whether messages come while a turn goes on. Where they do not, turns have a time limit."""
        ...

    @property
    def slots(self) -> int:
        """How many turns it takes at the same time; more wait in it."""
        ...

    def submit(self, turn: Turn, tell: Callable[[Message], None]) -> Future[None]:
        """Have a turn taken by `take_elsewhere` or `take_whole` of `runs/elsewhere.py`.

        Args:
            turn: packed cells with their states.
            tell: told of each message in order, from any thread, before the future is done.

        Returns:
            A future that fails if the worker is lost; what was told before is good.
        """
        ...

    def close(self) -> None:
        """Give up what is still running."""


@dataclass(eq=False)
class _Task:
    """Claimed cells on their way from turn to turn.

    `patience` is the time limit of a turn in units of the usual one: it is doubled whenever a cell had to start anew
    because its state came from another kind of machine, so that a cell ends on a cluster of many kinds, too.
    """

    cells: dict[str, Cell]
    states: dict[str, bytes | None]
    claims: ExitStack
    patience: int = 1
    losses: int = 0


def hand_out(
    cells: Sequence[Cell],
    store: Store,
    report: Report,
    engine: Engine,
    *,
    parallel: int = 1,
    jobs: int | None = None,
    seconds: float | None = None,
    data: Path | None = None,
) -> list[Event]:
    """Run every cell that has no record yet on an engine, which is closed at the end.

    Other processes may work on the same results directory. An interrupt keeps the states that have come back.

    Args:
        cells: the plan.
        store: where records are kept.
        report: told of every event.
        engine: where the cells run.
        parallel: seeds of an entry that are trained at once.
        jobs: turns at the same time; what the engine has room for without.
        seconds: between the states that come back, `STATE_SECONDS` where None: so much a lost worker costs.
        data: the data directory on the engine's machines; the cell's own without.

    Returns:
        How each cell ended that was run by this call: events of the kinds `finished`, `failed` and `stopped`.

    Raises:
        UserError: a record cannot be read, a spec names no copy of its data set, the engine takes no work, or the
            results directory cannot be written; what was finished before is kept.
    """
    ended: list[Event] = []

    def told_of(event: Event) -> None:
        if event.kind in ENDS:
            ended.append(event)
        report(event)

    with closing(engine):
        work = work_on(cells, store, parallel, 1)
        dispatcher = _Dispatcher(work, told_of, engine, jobs, STATE_SECONDS if seconds is None else seconds, data)
        try:
            dispatcher.run()
        except OSError as error:
            raise UserError(told(error)) from error
        finally:
            dispatcher.release()
    work.tell_of_taken_over(ended, report)
    return ended


class _Dispatcher:
    """Where batches go out and messages come in, one after another, in the thread that writes."""

    def __init__(
        self, work: Work, report: Report, engine: Engine, jobs: int | None, seconds: float, data: Path | None
    ) -> None:
        self.work, self.report, self.engine = work, report, engine
        self.jobs, self.seconds, self.data = jobs, seconds, data
        self.inbox: SimpleQueue[tuple[_Task, Message | Future[None]]] = SimpleQueue()
        self.cutting = work.batches()
        self.batches = deque(self.cutting.of(work.cells))
        self.held: list[Sequence[Cell]] = []
        self.ready: deque[_Task] = deque()
        self.running: list[_Task] = []
        self.begun: set[str] = set()

    def run(self) -> None:
        """Until every cell has ended, here or in another process."""
        while True:
            self._fill()
            if not (self.running or self.held):
                return
            try:
                task, message = self.inbox.get(timeout=WAIT_SECONDS)
            except Empty:
                self._look_again()
            else:
                if isinstance(message, Future):
                    self._turn_over(task, message)
                else:
                    self._receive(task, message)

    def release(self) -> None:
        """Give back the claims of cells that have not ended."""
        for task in [*self.running, *self.ready]:
            task.claims.close()

    def _fill(self) -> None:
        while (self.ready or self.batches) and self._has_room():
            task = self.ready.popleft() if self.ready else self._claimed(self.batches.popleft())
            if task is not None:
                self.running.append(task)
                self._submit(task)

    def _has_room(self) -> bool:
        if any(task.losses >= ALONE for task in [*self.running, *self.ready]):
            self.ready = deque(sorted(self.ready, key=lambda task: task.losses, reverse=True))
            return not self.running
        room = self.jobs
        if room is None:  # a few wait in the engine, so that no worker waits for this process
            room = self.engine.slots + max(1, self.engine.slots // 4)
        return len(self.running) < room

    def _claimed(self, batch: Sequence[Cell]) -> _Task | None:
        """The cells of a batch that are free and not ended; those that other processes hold are looked at later."""
        claims, store = ExitStack(), self.work.store
        free = {cell.name: cell for cell in batch if claims.enter_context(store.claim(cell))}
        if others := self.work.left([cell for cell in batch if cell.name not in free]):
            self.held.append(others)
        mine = {cell.name: cell for cell in self.work.left(list(free.values()))}
        if not mine:
            claims.close()
            return None
        return _Task(mine, {name: self.work.kept(cell, self.report) for name, cell in mine.items()}, claims)

    def _submit(self, task: _Task) -> None:
        limit = None if self.engine.streams else self.seconds * task.patience
        cells = tuple(packed(cell, self.data) for cell in task.cells.values())
        states, at_once = tuple(task.states[name] for name in task.cells), self.cutting.at_once(cells)
        turn = Turn(cells, states, self.seconds, limit, at_once)
        future = self.engine.submit(turn, lambda message: self.inbox.put((task, message)))
        future.add_done_callback(lambda done: self.inbox.put((task, done)))

    def _receive(self, task: _Task, message: Message) -> None:
        cell = task.cells.get(message.cell)
        if cell is None:
            return
        match message := of_this_protocol(cell, message):
            case Event(kind="started"):
                if cell.name in self.begun:  # told once; every later turn starts it again
                    return
                self.begun.add(cell.name)
            case Restarted():
                task.patience *= 2
            case Saved():
                task.states[cell.name], task.losses = message.state, 0
            case Ended():
                del task.cells[cell.name]
                task.losses = 0
        self.work.keep(cell, message, self.report)

    def _turn_over(self, task: _Task, done: Future[None]) -> None:
        self.running.remove(task)
        lost = CancelledError("its turn was cancelled") if done.cancelled() else done.exception()
        if lost is not None and task.cells:
            task.losses += 1
            self._lost(task, as_line(f"{type(lost).__name__}: {lost}", 200))
        if task.cells:
            self.ready.append(task)
        else:
            task.claims.close()

    def _lost(self, task: _Task, why: str) -> None:
        for name in list(task.cells):
            if task.losses >= MOST_LOSSES:
                end = Stopped(f"its worker was lost {task.losses} times in a row ({why})")
                self.work.keep(task.cells.pop(name), Ended(name, end), self.report)
            else:
                whence = "the beginning" if task.states[name] is None else "its last state"
                self.report(Event("said", name, text=f"its worker was lost; it goes on from {whence} ({why})"))

    def _look_again(self) -> None:
        """Look again at what other processes held; they may have gone away."""
        if self.held and not self.running:
            self.report(Event("waiting", total=sum(map(len, self.held))))
        self.batches.extend(self.held)
        self.held.clear()
