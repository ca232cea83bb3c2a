"""The local executor: takes cells one after another and hands what they give to the store."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from benchmark.errors import UserError
from benchmark.evaluation import UnusableError
from benchmark.runs import checkpoints, provenance
from benchmark.runs.cell import Cell
from benchmark.runs.finish import Finished
from benchmark.runs.plan import unfinished
from benchmark.runs.record import SCHEMA_VERSION, Failure, Record
from benchmark.runs.running import CellState, run_cell, start
from benchmark.runs.store import Store
from benchmark.training import DivergedError

CHECKPOINT_SECONDS = 10.0
WAIT_SECONDS = 1.0


class Report(Protocol):
    """Who is told how the work goes on."""

    def started(self, cell: Cell, resumed: CellState | None) -> None:
        """A cell was taken."""

    def advanced(self, cell: Cell, state: CellState) -> None:
        """A cell has finished an epoch or a condition."""

    def finished(self, cell: Cell, record: Record) -> None:
        """A cell has left its record."""

    def failed(self, cell: Cell, failure: Failure) -> None:
        """A cell has left a failure."""

    def waiting(self, cells: int) -> None:
        """All cells that are left are being run by other processes."""


@dataclass
class Summary:
    """What became of a plan."""

    done_before: list[Cell] = field(default_factory=list)
    finished: list[Cell] = field(default_factory=list)
    failed: list[Failure] = field(default_factory=list)


def execute(cells: Sequence[Cell], store: Store, report: Report) -> Summary:
    """Run every cell that has no record yet, sharing the work with other processes on the same results directory.

    A failing cell leaves its reason and the next one is taken. An interrupt keeps the running cell's state.
    Cells that another process holds are waited for, and taken over if that process goes away.
    """
    pending = unfinished(store, cells)
    names = {cell.name for cell in pending}
    summary = Summary(done_before=[cell for cell in cells if cell.name not in names])
    while pending:
        held = []
        for cell in pending:
            with store.claim(cell) as free:
                if not free:
                    held.append(cell)
                elif unfinished(store, [cell]):
                    _run(cell, store, report, summary)
        pending = unfinished(store, held)
        if pending and len(pending) == len(held):
            report.waiting(len(pending))
            time.sleep(WAIT_SECONDS)
    return summary


def _run(cell: Cell, store: Store, report: Report, summary: Summary) -> None:
    """Run one claimed cell to its record or its failure, keeping its state on the way."""
    resumed = checkpoints.load(store, cell)
    state = resumed or start(cell)
    report.started(cell, resumed)
    kept = time.monotonic()
    try:
        for step in run_cell(cell, state):
            if isinstance(step, Finished):
                store.add(cell, step)
                summary.finished.append(cell)
                report.finished(cell, step.record)
                return
            report.advanced(cell, state)
            if time.monotonic() - kept > CHECKPOINT_SECONDS:
                checkpoints.save(store, cell, state)
                kept = time.monotonic()
    except Exception as error:
        expected = isinstance(error, DivergedError | UnusableError | UserError)
        failure = Failure(
            schema_version=SCHEMA_VERSION,
            benchmark=cell.card.full_name,
            entry=cell.entry,
            seed=cell.seed,
            spec_digest=cell.digest,
            reason=str(error) if expected else f"{type(error).__name__}: {error}",
            phase=state.phase,
            epoch=state.training.epochs_done or None,
            at=provenance.now(),
            details="" if expected else traceback.format_exc(),
        )
        store.add_failure(cell, failure)
        summary.failed.append(failure)
        report.failed(cell, failure)
