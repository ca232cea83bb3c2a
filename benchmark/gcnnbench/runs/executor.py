"""The local executor: takes cells, in one process or several, and hands what they give to the store."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from queue import Empty
from typing import TYPE_CHECKING, Literal

from gcnnbench.device import keep_freed_memory
from gcnnbench.errors import UserError
from gcnnbench.nn.groups import group
from gcnnbench.runs import checkpoints, provenance
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.plan import unfinished
from gcnnbench.runs.record import SCHEMA_VERSION, Failure
from gcnnbench.runs.running import CellState, run_cell, start, train_cells
from gcnnbench.runs.store import Store
from gcnnbench.runs.together import Batches, started_together
from gcnnbench.scoring.conditions import UnusableError
from gcnnbench.training.loop import DivergedError

if TYPE_CHECKING:
    from multiprocessing.queues import Queue

CHECKPOINT_SECONDS = 10.0
WAIT_SECONDS = 1.0


@dataclass(frozen=True)
class Event:
    """What happens while a plan is executed, small enough to be sent between processes.

    `done` of `total` are epochs in training and conditions in scoring; `text` says how a cell starts, what came out, or
    why it failed.
    """

    kind: Literal["started", "advanced", "finished", "failed", "waiting", "said"]
    cell: str = ""
    phase: str = ""
    done: int = 0
    total: int = 0
    images_per_second: float = 0.0
    text: str = ""


Report = Callable[[Event], None]
"""Who is told how the work goes on."""


def execute(
    cells: Sequence[Cell], store: Store, report: Report, jobs: int = 1, parallel: int | Literal["auto"] = 1
) -> list[Event]:
    """Run every cell that has no record yet, sharing the work with other processes on the same results directory.

    A failing cell leaves its reason and the next one is taken. An interrupt keeps each running cell's last checkpoint.
    Cells that another process holds are waited for, and taken over if that process goes away.

    Args:
        cells: the plan.
        store: where records are kept.
        report: told of every event.
        jobs: processes that run cells at the same time.
        parallel: seeds of an entry that a process trains as one computation; `auto` takes what fits in memory.

    Returns:
        How each cell ended that was run by this call: events of the kinds `finished` and `failed`.
    """
    ended: list[Event] = []

    def tell(event: Event) -> None:
        if event.kind in ("finished", "failed"):
            ended.append(event)
        report(event)

    work = _Work(
        tuple(unfinished(store, cells)), store, {cell.name: store.failure(cell) for cell in cells}, parallel, jobs
    )
    if jobs == 1:
        _take_turns(work, tell)
    else:
        for event in _events_of_workers(work, jobs):
            tell(event)
    return ended


@dataclass(frozen=True)
class _Work:
    """Cells to be run, and the failures that they had left before: one that fails now is not tried again."""

    cells: tuple[Cell, ...]
    store: Store
    before: Mapping[str, Failure | None]
    parallel: int | Literal["auto"]
    jobs: int

    def left(self, cells: Sequence[Cell]) -> list[Cell]:
        """Those of these cells that have neither a record nor a new failure."""
        return [cell for cell in unfinished(self.store, cells) if self.store.failure(cell) == self.before[cell.name]]


def _events_of_workers(work: _Work, jobs: int) -> Iterator[Event]:
    """Start workers on the same plan and pass on what they tell until the last of them is done."""
    context = multiprocessing.get_context("spawn")  # a forked child would inherit torch's threads half-alive
    events: Queue[Event] = context.Queue()
    workers = [context.Process(target=_serve, args=(work, events), daemon=True) for _ in range(jobs)]
    for worker in workers:
        worker.start()
    try:
        while True:
            alive = any(worker.is_alive() for worker in workers)
            try:
                yield events.get(timeout=WAIT_SECONDS)
            except Empty:
                if not alive:
                    break
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    lost = [worker.exitcode for worker in workers if worker.exitcode]
    if lost and work.left(work.cells):
        yield Event("failed", text=f"{len(lost)} of {jobs} processes ended early (exit code {lost[0]})")


def _serve(work: _Work, events: Queue[Event]) -> None:
    """What a worker process does, for as long as its parent is there."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _take_turns(work, events.put)
    except KeyboardInterrupt:
        events.cancel_join_thread()


def _end_with_parent() -> None:
    """End this process at once when its parent has been killed; unseen, it would go on to run all that is planned."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _take_turns(work: _Work, report: Report) -> None:
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
            report(Event("started", cell.name, text=f"{_how(cell, state)}, {len(todo)} seeds at once"))
        for now_lost in train_cells(todo, states):
            for position in now_lost.keys() - lost.keys():
                _fail(todo[position], states[position], now_lost[position], store, report)
            lost = dict(now_lost)
            alive = [pair for position, pair in enumerate(zip(todo, states, strict=True)) if position not in lost]
            for cell, state in alive:
                report(_progress(cell, state))
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
        report(Event("started", cell.name, text=_how(cell, state)))
    saved = time.monotonic()
    try:
        for step in run_cell(cell, state):
            if isinstance(step, Finished):
                store.add(cell, step)
                report(Event("finished", cell.name, text=_outcome(step)))
                return
            report(_progress(cell, state))
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                checkpoints.save(store, cell, state)
                saved = time.monotonic()
    except Exception as error:
        _fail(cell, state, error, store, report)


def _fail(cell: Cell, state: CellState, error: Exception, store: Store, report: Report) -> None:
    failure = _failure(cell, state, error)
    store.add_failure(cell, failure)
    report(Event("failed", cell.name, phase=failure.phase, text=failure.reason))


def _how(cell: Cell, state: CellState) -> str:
    resumed = f"resumed after epoch {state.training.epochs_done}, in {state.phase}"
    return f"{resumed if state.sessions > 1 else 'started'} on {cell.device}, threads: {cell.threads}"


def _progress(cell: Cell, state: CellState) -> Event:
    training, scored = state.training, state.evaluation
    if state.phase == "training":
        seconds = sum(epoch["seconds"] for epoch in training.history)
        rate = training.images_seen / seconds
        return Event("advanced", cell.name, "training", training.epochs_done, cell.card.recipe.epochs, rate)
    protocol = cell.card.evaluation
    total = len(group(protocol.group)) + len(protocol.curve.angles)
    rate = scored.scored / max(scored.seconds, 1e-9)
    return Event("advanced", cell.name, "scoring", len(scored.logits) + len(scored.classes), total, rate)


def _outcome(finished: Finished) -> str:
    found, cost = finished.record.metrics, finished.record.cost
    upright, orbit = (100 * (found[f"accuracy.{name}"] or 0.0) for name in ("upright", "orbit"))
    return f"upright {upright:.2f}%, orbit {orbit:.2f}% in {cost.train_seconds + cost.test_seconds:,.0f} s"


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
