"""Takes a turn: runs cells from their last states to later ones or to their ends. Nothing is written here.

Every engine runs this, on whatever machine, and hands what comes to the store (`runs/work.py`).
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gcnnbench.errors import UserError
from gcnnbench.foreign_code import WITHIN_GENERATORS, raise_if_told_to_end
from gcnnbench.formatting import how_many
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import train_cells
from gcnnbench.runs.checkpoints import dump, taken_up
from gcnnbench.runs.events import Event, how_started, progress
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.outcomes import Stopped, ended_by, steps
from gcnnbench.runs.record import Failure
from gcnnbench.runs.seed_batches import batch_states
from gcnnbench.runs.state import CellState, start

BEGINNINGS = 20
"""So many times what its beginning took a turn goes on, so that beginning anew costs a twentieth."""

EXTENDED = 10
"""At most so many time limits, as a worker that is lost costs a turn."""


@dataclass(frozen=True)
class Turn:
    """Cells with the states they go on from, and for how long.

    Args:
        cells: one cell, or several that differ in their seed and are trained at once.
        states: for each cell the bytes of its last checkpoint; null where there is none.
        every: seconds between the states that come on the way.
        seconds: the time limit: the turn ends with the first epoch or condition after it; null for none. Where it took
            long to begin, as data had to be read and resized, the limit is later: `BEGINNINGS` times as long, but no
            more than `EXTENDED` limits.
        at_once: how many seeds may be one computation: the cells, or more where a state was made with more.
    """

    cells: tuple[Cell, ...]
    states: tuple[bytes | None, ...]
    every: float
    seconds: float | None = None
    at_once: int = 1


@dataclass(frozen=True)
class Restarted:
    """A cell starts anew, in words why its state is not gone on from."""

    cell: str
    why: str


@dataclass(frozen=True)
class Saved:
    """The state of a cell, as `dump` of `runs/checkpoints.py` gives it."""

    cell: str
    state: bytes


@dataclass(frozen=True)
class Ended:
    """How a cell ended."""

    cell: str
    end: Finished | Failure | Stopped


Message = Event | Restarted | Saved | Ended


@dataclass(frozen=True)
class _Kept:
    """The state that a cell came with, or in words why it is not gone on from; both null where it came with none."""

    state: CellState | None = None
    why: str | None = None


class _Clock:
    """When states are due, and when the turn is over."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.began = self.saved = time.monotonic()
        self.beginning: float | None = None

    def stepped(self, seconds: float) -> None:
        """Told after each step how long it took: what passed before the first one was the turn's beginning."""
        if self.beginning is None:
            self.beginning = max(0.0, time.monotonic() - self.began - seconds)

    @property
    def over(self) -> bool:
        if self.turn.seconds is None:
            return False
        wanted = BEGINNINGS * (self.beginning or 0.0)
        limit = min(max(self.turn.seconds, wanted), EXTENDED * self.turn.seconds)
        return time.monotonic() - self.began >= limit

    def due(self) -> bool:
        """Whether states are to be kept now; then the next are due as much later."""
        now = time.monotonic()
        if now - self.saved <= self.turn.every:
            return False
        self.saved = now
        return True


def take(turn: Turn) -> Iterator[Message]:
    """Run the cells of a turn, telling of each, until they have ended or the time is over.

    Each cell leaves an `Ended`, or stays at its last state: the last `Saved` of it, or the one it came with. A turn
    takes at least one epoch or condition, so a cell that is handed from turn to turn comes to an end.
    """
    clock = _Clock(turn)
    kept = {
        cell.name: _Kept() if content is None else _Kept(*taken_up(content, cell))
        for cell, content in zip(turn.cells, turn.states, strict=True)
    }
    trained = yield from _train_together(turn, kept, clock)
    for cell, together in trained:
        state = together or (yield from _begin(cell, kept[cell.name]))
        yield from _run(cell, state, clock)
        if clock.over:
            return


def _train_together(
    turn: Turn, kept: Mapping[str, _Kept], clock: _Clock
) -> Generator[Message, None, list[tuple[Cell, CellState | None]]]:
    """Train the cells of a turn at once where there are several to be trained.

    What was trained as one computation is gone on with as one of as many places, else anew: so the bits stay the same.
    Where steps are recorded the bits are those that each has alone.

    Returns:
        The cells to be run on from here, with the state that this has brought them to; null where it did nothing.
    """
    todo = [cell for cell in turn.cells if not _is_trained(cell, kept[cell.name].state)]
    rest: list[tuple[Cell, CellState | None]]
    rest = [(cell, None) for cell in turn.cells if _is_trained(cell, kept[cell.name].state)]
    states = batch_states(todo, [kept[cell.name].state for cell in todo], max(turn.at_once, len(turn.cells)))
    at_once = max(len(states), *(state.seeds_at_once for state in states), 0)
    if at_once < 2:
        return [*rest, *((cell, None) for cell in todo)]
    restarted = _restarted(todo, states, kept)
    alive = list(zip(todo, states, strict=True))
    together = f"{how_many(at_once, 'seed')} {'side by side' if todo[0].cuda_graphs else 'at once'}"
    for cell, state in alive:
        yield Event("started", cell.name, text=f"{how_started(cell, state)}, {together}")
    training = train_cells(todo, states)
    before = sum(state.worked for state in states)
    while True:
        try:
            lost = next(training, None)
        except UserError as error:
            yield Event("said", todo[0].name, text=f"seeds are trained one after another: {error}")
            return [*rest, *((cell, None) for cell in todo)]
        except WITHIN_GENERATORS as error:
            raise_if_told_to_end(error)
            for cell, state in alive:
                yield Ended(cell.name, ended_by(cell, state, error))
            return rest
        yield from restarted  # not before: where seeds cannot be trained at once, each goes on from its own
        restarted = []
        if lost is None:
            break
        for position, (cell, state) in enumerate(zip(todo, states, strict=True)):
            if position in lost and (cell, state) in alive:
                yield Ended(cell.name, ended_by(cell, state, lost[position]))
        alive = [pair for position, pair in enumerate(zip(todo, states, strict=True)) if position not in lost]
        clock.stepped(sum(state.worked for state in states) - before)
        for cell, state in alive:
            yield progress(cell, state)
        over = clock.over
        if over or clock.due():
            yield from (Saved(cell.name, dump(state)) for cell, state in alive)
        if over:
            return []
    for cell, state in alive:
        state.phase = "evaluation"
        yield Saved(cell.name, dump(state))
    return [*rest, *alive]


def _is_trained(cell: Cell, state: CellState | None) -> bool:
    return state is not None and state.training.epochs_done >= cell.card.recipe.epochs


def _restarted(cells: Sequence[Cell], states: Sequence[CellState], kept: Mapping[str, _Kept]) -> list[Restarted]:
    """Those of these cells that do not go on from the state that was kept of them, and why."""
    found = []
    for cell, state in zip(cells, states, strict=True):
        earlier, why = kept[cell.name].state, kept[cell.name].why
        if earlier is not None and earlier is not state:
            why = "its checkpoint does not fit those of the seeds that it is trained with"
        if why is not None:
            found.append(Restarted(cell.name, why))
    return found


def _begin(cell: Cell, kept: _Kept) -> Generator[Message, None, CellState]:
    """The state that a cell goes on from on its own: the one it came with, where it can be gone on from."""
    state, why = kept.state, kept.why
    if state is not None and state.seeds_at_once > 1 and not _is_trained(cell, state):
        why = f"its checkpoint was made with {state.seeds_at_once} seeds as one computation"
        state = None
    state = state or start(cell)
    if why is not None:
        yield Restarted(cell.name, why)
    yield Event("started", cell.name, text=how_started(cell, state))
    return state


def _run(cell: Cell, state: CellState, clock: _Clock) -> Iterator[Message]:
    """Run one cell to its end, or until the time is over."""
    before = state.worked
    for step in steps(cell, state):
        if not isinstance(step, CellState):
            yield Ended(cell.name, step)
            return
        clock.stepped(state.worked - before)
        yield progress(cell, state)
        over = clock.over
        if over or clock.due():
            yield Saved(cell.name, dump(state))
        if over:
            return
