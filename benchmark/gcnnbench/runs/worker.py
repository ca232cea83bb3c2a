"""One worker: takes the cells that nobody else runs, in turn, and keeps what comes of each in the store."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Literal

from gcnnbench.device import keep_freed_memory
from gcnnbench.errors import UserError
from gcnnbench.runs import checkpoints, provenance
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_cell, train_cells
from gcnnbench.runs.events import Event, Report, how_started, outcome, progress
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.plan import unfinished
from gcnnbench.runs.record import SCHEMA_VERSION, Failure
from gcnnbench.runs.seed_batches import Batches, started_together
from gcnnbench.runs.state import CellState, start
from gcnnbench.runs.store import Store
from gcnnbench.scoring.conditions import UnusableError
from gcnnbench.training.loop import DivergedError

CHECKPOINT_SECONDS = 10.0
WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class Work:
    """Cells to be run, and the failures that they had left before: one that fails now is not tried again."""

    cells: tuple[Cell, ...]
    store: Store
    before: Mapping[str, Failure | None]
    parallel: int | Literal["auto"]
    jobs: int

    def left(self, cells: Sequence[Cell]) -> list[Cell]:
        """Those of these cells that have neither a record nor a new failure."""
        return [cell for cell in unfinished(self.store, cells) if self.store.failure(cell) == self.before[cell.name]]


def take_turns(work: Work, report: Report) -> None:
    """Run the cells that nobody else runs, one batch after another, until all are done or have failed."""
    keep_freed_memory()
    batches = Batches(work.parallel, work.jobs)
    while pending := work.left(work.cells):
        idle = True
        for batch in batches.of(pending):
            with ExitStack() as claims:
                free = [cell for cell in batch if claims.enter_context(work.store.claim(cell))]
                if mine := work.left(free):
                    for cell, state in _train_together(mine, work.store, report):
                        _run(cell, state, work.store, report)
                    idle = False
        if idle:
            report(Event("waiting", total=len(pending)))
            time.sleep(WAIT_SECONDS)


def _train_together(cells: Sequence[Cell], store: Store, report: Report) -> Iterator[tuple[Cell, CellState | None]]:
    """Train claimed cells of one entry as one computation where there are several, and hand out those not yet failed.

    What was trained together is gone on with only by the same number of seeds, else anew: so the bits stay the same.
    """
    kept = [checkpoints.load(store, cell)[0] if len(cells) > 1 else None for cell in cells]
    trained = [state is not None and state.phase == "evaluation" for state in kept]
    todo = [cell for cell, done in zip(cells, trained, strict=True) if not done]
    yield from ((cell, None) for cell, done in zip(cells, trained, strict=True) if done or len(todo) == 1)
    if len(todo) < 2:
        return
    states = started_together(todo, [state for state, done in zip(kept, trained, strict=True) if not done])
    lost: dict[int, DivergedError] = {}
    saved = time.monotonic()
    try:
        for cell, state in zip(todo, states, strict=True):
            report(Event("started", cell.name, text=f"{how_started(cell, state)}, {len(todo)} seeds at once"))
        for now_lost in train_cells(todo, states):
            for position in now_lost.keys() - lost.keys():
                _fail(todo[position], states[position], now_lost[position], store, report)
            lost = dict(now_lost)
            alive = [pair for position, pair in enumerate(zip(todo, states, strict=True)) if position not in lost]
            for cell, state in alive:
                report(progress(cell, state))
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                for cell, state in alive:
                    checkpoints.save(store, cell, state)
                saved = time.monotonic()
    except UserError as error:
        report(Event("said", todo[0].name, text=f"seeds are trained one after another: {error}"))
        yield from ((cell, None) for cell in todo)
        return
    except Exception as error:
        for position, (cell, state) in enumerate(zip(todo, states, strict=True)):
            if position not in lost:
                _fail(cell, state, error, store, report)
        return
    for cell, state in alive:
        state.phase = "evaluation"
        checkpoints.save(store, cell, state)
    yield from alive


def _run(cell: Cell, state: CellState | None, store: Store, report: Report) -> None:
    """Run one claimed cell to its record or its failure, keeping its state on the way.

    Args:
        cell: what to run.
        state: what was trained already, together with others; the last checkpoint, or nothing, where None.
        store: where all is kept.
        report: told of every event.
    """
    if state is None:
        kept, _ = checkpoints.load(store, cell)
        halfway = kept is not None and kept.seeds_at_once > 1 and kept.phase != "evaluation"
        state = start(cell) if kept is None or halfway else kept
        report(Event("started", cell.name, text=how_started(cell, state)))
    saved = time.monotonic()
    try:
        for step in run_cell(cell, state):
            if isinstance(step, Finished):
                store.add(cell, step)
                report(Event("finished", cell.name, text=outcome(step)))
                return
            report(progress(cell, state))
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                checkpoints.save(store, cell, state)
                saved = time.monotonic()
    except Exception as error:
        _fail(cell, state, error, store, report)


def _fail(cell: Cell, state: CellState, error: Exception, store: Store, report: Report) -> None:
    failure = _failure(cell, state, error)
    store.add_failure(cell, failure)
    report(Event("failed", cell.name, phase=failure.phase, text=failure.reason))


def _failure(cell: Cell, state: CellState, error: Exception) -> Failure:
    expected = isinstance(error, DivergedError | UnusableError | UserError)
    return Failure(
        schema_version=SCHEMA_VERSION,
        benchmark=cell.card.full_name,
        entry=cell.entry,
        seed=cell.seed,
        spec_digest=cell.digest,
        reason=str(error) if expected else f"{type(error).__name__}: {error}",
        phase=state.phase,
        epoch=state.training.epochs_done or None,
        at=provenance.now(),
        details="" if expected else "".join(traceback.format_exception(error)),
    )
