"""An interrupt ends the jobs of all threads, keeps what is done, and packs nothing."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from gcnnbench.runs.cell import Cell
from gcnnbench.submissions import submitting
from gcnnbench.submissions.findings import Finding
from gcnnbench.submissions.folder import read_submission
from gcnnbench.submissions.sandbox import INTERRUPTED


def test_an_interrupt_reaches_every_job(folder: Path, mini: Path) -> None:
    cells = submitting.cells_of(read_submission(folder, [mini]), Path("unused"))
    ended = []
    waiting = threading.Barrier(2)

    def run(cell: Cell) -> tuple[Finding, ...]:
        waiting.wait(10)
        if cell.seed == 0:
            raise KeyboardInterrupt
        begun = time.monotonic()
        while not INTERRUPTED.is_set():
            assert time.monotonic() - begun < 30, "nobody told this job"
            time.sleep(0.01)
        ended.append(cell.seed)
        return ()

    with pytest.raises(KeyboardInterrupt):
        submitting._at_once(run, cells, 2)
    assert ended == [1]
    assert not INTERRUPTED.is_set()
