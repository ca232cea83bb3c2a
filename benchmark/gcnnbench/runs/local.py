"""Runs cells on this machine, in one process or several, and hands what they give to the store."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator, Sequence
from queue import Empty
from typing import TYPE_CHECKING, Literal

from gcnnbench.errors import UserError, told
from gcnnbench.formatting import how_many
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.events import Event, Report
from gcnnbench.runs.store import Store
from gcnnbench.runs.work import ENDS, WAIT_SECONDS, Work, work_on
from gcnnbench.runs.worker import take_turns

if TYPE_CHECKING:
    from multiprocessing.context import SpawnContext
    from multiprocessing.queues import Queue


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
        parallel: seeds of an entry that a process trains at once; `auto` takes what fits in memory.

    Returns:
        How each cell ended that was run by this call: events of the kinds `finished`, `failed` and `stopped`.

    Raises:
        UserError: a record cannot be read, a spec names no copy of its data set, or the results directory cannot be
            written; what was finished before is kept.
    """
    ended: list[Event] = []

    def tell(event: Event) -> None:
        if event.kind in ENDS:
            ended.append(event)
        report(event)

    context = multiprocessing.get_context("spawn")  # a forked child would inherit torch's threads half-alive
    work = work_on(cells, store, parallel, jobs, None if jobs == 1 else context.Array("b", len(cells)))
    if jobs == 1:
        try:
            take_turns(work, tell)
        except OSError as error:
            raise UserError(told(error)) from error
    else:
        for event in _events_of_workers(work, context):
            tell(event)
    work.tell_of_taken_over(ended, report)
    return ended


def _events_of_workers(work: Work, context: SpawnContext) -> Iterator[Event]:
    """Start workers on the same plan and pass on what they tell until the last of them is done."""
    events: Queue[Event | str] = context.Queue()
    workers = [context.Process(target=_serve, args=(work, events), daemon=True) for _ in range(work.jobs)]
    broken: list[str] = []
    for worker in workers:
        worker.start()
    try:
        while True:
            alive = any(worker.is_alive() for worker in workers)
            try:
                event = events.get(timeout=WAIT_SECONDS)
            except Empty:
                if not alive:
                    break
                continue
            if isinstance(event, str):
                broken.append(event)
            else:
                yield event
    finally:
        for worker in workers:
            worker.terminate()
            worker.join()
    lost = [worker.exitcode for worker in workers if worker.exitcode]
    if lost and work.left(work.cells):
        yield Event(
            "failed",
            text=f"{len(lost)} of {how_many(work.jobs, 'process', 'processes')} ended early (exit code {lost[0]})",
        )
    if broken:
        raise UserError(broken[0])


def _serve(work: Work, events: Queue[Event | str]) -> None:
    """What a worker process does, for as long as its parent is there."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        take_turns(work, events.put)
    except KeyboardInterrupt:
        events.cancel_join_thread()
    except (OSError, UserError) as error:
        events.put(told(error))  # of the results directory; all workers meet it, and the call ends


def _end_with_parent() -> None:
    """End this process at once when its parent has been killed; unseen, it would go on to run all that is planned."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
