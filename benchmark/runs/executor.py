"""The local executor: takes cells, in one process or several, and hands what they give to the store."""

from __future__ import annotations

import multiprocessing
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty
from typing import TYPE_CHECKING, Literal

from benchmark.errors import UserError
from benchmark.evaluation import UnusableError
from benchmark.nn.groups import group
from benchmark.runs import checkpoints, provenance
from benchmark.runs.cell import Cell
from benchmark.runs.finish import Finished
from benchmark.runs.plan import unfinished
from benchmark.runs.record import SCHEMA_VERSION, Failure
from benchmark.runs.running import CellState, run_cell, start
from benchmark.runs.store import Store
from benchmark.training import DivergedError

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

    kind: Literal["started", "advanced", "finished", "failed", "waiting"]
    cell: str = ""
    phase: str = ""
    done: int = 0
    total: int = 0
    images_per_second: float = 0.0
    text: str = ""


Report = Callable[[Event], None]
"""Who is told how the work goes on."""


def execute(cells: Sequence[Cell], store: Store, report: Report, jobs: int = 1) -> list[Event]:
    """Run every cell that has no record yet, sharing the work with other processes on the same results directory.

    A failing cell leaves its reason and the next one is taken. An interrupt keeps each running cell's last checkpoint.
    Cells that another process holds are waited for, and taken over if that process goes away.

    Args:
        cells: the plan.
        store: where records are kept.
        report: told of every event.
        jobs: processes that run cells at the same time.

    Returns:
        How each cell ended that was run by this call: events of the kinds `finished` and `failed`.
    """
    ended: list[Event] = []

    def tell(event: Event) -> None:
        if event.kind in ("finished", "failed"):
            ended.append(event)
        report(event)

    work = _Work(tuple(unfinished(store, cells)), store, {cell.name: store.failure(cell) for cell in cells})
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
    """What a worker process does."""
    try:
        _take_turns(work, events.put)
    except KeyboardInterrupt:
        events.cancel_join_thread()


def _take_turns(work: _Work, report: Report) -> None:
    """Run the cells that nobody else runs, one after another, until all are done or have failed."""
    while pending := work.left(work.cells):
        idle = True
        for cell in pending:
            with work.store.claim(cell) as free:
                if free and work.left([cell]):
                    _run(cell, work.store, report)
                    idle = False
        if idle:
            report(Event("waiting", total=len(pending)))
            time.sleep(WAIT_SECONDS)


def _run(cell: Cell, store: Store, report: Report) -> None:
    """Run one claimed cell to its record or its failure, keeping its state on the way."""
    resumed = checkpoints.load(store, cell)
    state = resumed or start(cell)
    how = f"resumed after epoch {state.training.epochs_done}, in {state.phase}" if resumed else "started"
    report(Event("started", cell.name, text=f"{how} on {cell.device}, threads: {cell.threads}"))
    kept = time.monotonic()
    try:
        for step in run_cell(cell, state):
            if isinstance(step, Finished):
                store.add(cell, step)
                report(Event("finished", cell.name, text=_outcome(step)))
                return
            report(_progress(cell, state))
            if time.monotonic() - kept > CHECKPOINT_SECONDS:
                checkpoints.save(store, cell, state)
                kept = time.monotonic()
    except Exception as error:
        failure = _failure(cell, state, error)
        store.add_failure(cell, failure)
        report(Event("failed", cell.name, phase=failure.phase, text=failure.reason))


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
