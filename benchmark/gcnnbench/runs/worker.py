"""One worker of this machine: takes the cells that nobody else runs, in turn, and keeps what comes of each."""

from __future__ import annotations

import time
from contextlib import ExitStack

from gcnnbench.device import keep_freed_memory
from gcnnbench.runs.events import Event, Report
from gcnnbench.runs.turns import Turn, take
from gcnnbench.runs.work import WAIT_SECONDS, Work

CHECKPOINT_SECONDS = 10.0


def take_turns(work: Work, report: Report) -> None:
    """Run the cells that nobody else runs, one batch after another, until all are done or have failed.

    Raises:
        OSError: the results directory cannot be written; checkpoints are kept.
    """
    keep_freed_memory()
    batches = work.batches()
    while pending := work.left(work.cells):
        idle = True
        for batch in batches.of(pending):
            with ExitStack() as claims:
                free = [cell for cell in batch if claims.enter_context(work.store.claim(cell))]
                if mine := {cell.name: cell for cell in work.left(free)}:
                    states = tuple(work.kept(cell, report) for cell in mine.values())
                    turn = Turn(tuple(mine.values()), states, CHECKPOINT_SECONDS, at_once=batches.at_once(batch))
                    for message in take(turn):
                        work.keep(mine[message.cell], message, report)
                    idle = False
        if idle:
            report(Event("waiting", total=len(pending)))
            time.sleep(WAIT_SECONDS)
