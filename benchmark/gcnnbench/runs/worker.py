"""One worker: takes the cells that nobody else runs, in turn, and keeps what comes of each in the store."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

from gcnnbench.device import keep_freed_memory
from gcnnbench.disk import read_plain
from gcnnbench.errors import UserError
from gcnnbench.runs import checkpoints
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import train_cells
from gcnnbench.runs.events import Event, Report, how_started, outcome, progress
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.outcomes import Stopped, ended_by, steps
from gcnnbench.runs.plan import is_done
from gcnnbench.runs.record import Failure
from gcnnbench.runs.seed_batches import Batches, batch_states
from gcnnbench.runs.state import CellState, start
from gcnnbench.runs.store import Store

CHECKPOINT_SECONDS = 10.0
WAIT_SECONDS = 1.0


class Flags(Protocol):
    """A number for each cell, in memory or shared between processes."""

    def __getitem__(self, place: int, /) -> int: ...

    def __setitem__(self, place: int, value: int, /) -> None: ...


@dataclass(frozen=True)
class Work:
    """Cells to be run, with what all workers of one call know of them.

    Args:
        cells: the plan.
        store: where all is kept.
        before: the failure files that cells had left before: what another process lets fail now is not tried again.
        ended: for each cell whether this call has brought it to an end; then it stays so, whatever others make of it.
        parallel: seeds of an entry that are trained as one computation; `auto` takes what fits in memory.
        jobs: workers that share the memory.
    """

    cells: tuple[Cell, ...]
    store: Store
    before: Mapping[str, bytes | None]
    ended: Flags
    parallel: int | Literal["auto"]
    jobs: int

    def left(self, cells: Sequence[Cell]) -> list[Cell]:
        """Those of these cells that this call has not ended, and that have neither a record nor a new failure."""
        return [cell for cell in cells if not self.ended[self._places[cell.name]] and not self._was_ended(cell)]

    def end(self, cell: Cell) -> None:
        """Note that this call has brought a cell to an end."""
        self.ended[self._places[cell.name]] = 1

    @cached_property
    def _places(self) -> dict[str, int]:
        return {cell.name: place for place, cell in enumerate(self.cells)}

    def _was_ended(self, cell: Cell) -> bool:
        """Whether some process has; what stands in its place and cannot be read is left for its owner to look at."""
        try:
            done = is_done(self.store, cell, self.store.record(cell))
        except UserError:
            return True
        return done or failure_left(self.store, cell) != self.before[cell.name]


def failure_left(store: Store, cell: Cell) -> bytes | None:
    """The file that a cell left when it failed, whatever it holds; null where there is none."""
    try:
        return read_plain(store.failure_path(cell))
    except OSError:
        return None


def take_turns(work: Work, report: Report) -> None:
    """Run the cells that nobody else runs, one batch after another, until all are done or have failed.

    Raises:
        OSError: the results directory cannot be written; checkpoints are kept.
    """
    keep_freed_memory()
    batches = Batches(work.parallel, work.jobs)
    while pending := work.left(work.cells):
        idle = True
        for batch in batches.of(pending):
            with ExitStack() as claims:
                free = [cell for cell in batch if claims.enter_context(work.store.claim(cell))]
                if mine := work.left(free):
                    for cell, state in _train_together(mine, work, report):
                        _run(cell, state, work, report)
                    idle = False
        if idle:
            report(Event("waiting", total=len(pending)))
            time.sleep(WAIT_SECONDS)


def _train_together(cells: Sequence[Cell], work: Work, report: Report) -> Iterator[tuple[Cell, CellState | None]]:
    """Train claimed cells of one entry as one computation where there are several, and hand out those not yet ended.

    What was trained together is gone on with only by the same number of seeds, else anew: so the bits stay the same.
    """
    kept = [checkpoints.load(work.store, cell)[0] if len(cells) > 1 else None for cell in cells]
    trained = [state is not None and state.phase == "evaluation" for state in kept]
    todo = [cell for cell, done in zip(cells, trained, strict=True) if not done]
    yield from ((cell, None) for cell, done in zip(cells, trained, strict=True) if done or len(todo) == 1)
    if len(todo) < 2:
        return
    states = batch_states(todo, [state for state, done in zip(kept, trained, strict=True) if not done])
    alive, saved = list(zip(todo, states, strict=True)), time.monotonic()
    for cell, state in alive:
        report(Event("started", cell.name, text=f"{how_started(cell, state)}, {len(todo)} seeds at once"))
    training = train_cells(todo, states)
    while True:
        lost: Mapping[int, Exception] | None
        try:
            lost = next(training, None)
        except UserError as error:
            report(Event("said", todo[0].name, text=f"seeds are trained one after another: {error}"))
            yield from ((cell, None) for cell in todo)
            return
        except Exception as error:
            for cell, state in alive:
                _end(cell, ended_by(cell, state, error), work, report)
            return
        if lost is None:
            break
        for position, (cell, state) in enumerate(zip(todo, states, strict=True)):
            if position in lost and (cell, state) in alive:
                _end(cell, ended_by(cell, state, lost[position]), work, report)
        alive = [pair for position, pair in enumerate(zip(todo, states, strict=True)) if position not in lost]
        for cell, state in alive:
            report(progress(cell, state))
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            for cell, state in alive:
                checkpoints.save(work.store, cell, state)
            saved = time.monotonic()
    for cell, state in alive:
        state.phase = "evaluation"
        checkpoints.save(work.store, cell, state)
    yield from alive


def _run(cell: Cell, state: CellState | None, work: Work, report: Report) -> None:
    """Run one claimed cell to its end, keeping its state on the way.

    Args:
        cell: what to run.
        state: what was trained already, together with others; the last checkpoint, or nothing, where None.
        work: where all is kept.
        report: told of every event.
    """
    if state is None:
        kept, why = checkpoints.load(work.store, cell)
        halfway = kept is not None and kept.seeds_at_once > 1 and kept.phase != "evaluation"
        state = start(cell) if kept is None or halfway else kept
        if why is not None:
            report(Event("said", cell.name, text=f"started anew: {why}"))
        report(Event("started", cell.name, text=how_started(cell, state)))
    saved = time.monotonic()
    for step in steps(cell, state):
        if not isinstance(step, CellState):
            _end(cell, step, work, report)
            return
        report(progress(cell, state))
        if time.monotonic() - saved > CHECKPOINT_SECONDS:
            checkpoints.save(work.store, cell, state)
            saved = time.monotonic()


def _end(cell: Cell, end: Finished | Failure | Stopped, work: Work, report: Report) -> None:
    """Keep how a cell ended. A stopped one leaves nothing but its last checkpoint, which goes on elsewhere or later."""
    match end:
        case Finished():
            work.store.add(cell, end)
            report(Event("finished", cell.name, text=outcome(end)))
        case Failure():
            work.store.add_failure(cell, end)
            report(Event("failed", cell.name, phase=end.phase, text=end.reason))
        case Stopped():
            report(Event("stopped", cell.name, text=end.reason))
    work.end(cell)
