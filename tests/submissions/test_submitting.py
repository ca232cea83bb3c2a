"""Submitting: an interrupt ends the jobs of all threads and packs nothing; a call killed anywhere is completed."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

from gcnnbench.errors import UserError
from gcnnbench.runs.cell import Cell
from gcnnbench.submissions import submitting
from gcnnbench.submissions.cell_jobs import scoring_seconds, training_seconds
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


class KilledError(BaseException):
    """Ends a call where a kill would, with everything on disk as it then is."""


KILLS = {"before packing": "pack", "before cleaning up": "rename", "while cleaning up": "rmtree"}


@pytest.mark.parametrize("where", KILLS.values(), ids=KILLS)
def test_a_call_killed_at_its_end_is_completed_by_the_same_call(
    where: str, packed: Path, mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submission = read_submission(packed / "models" / "mynet", [mini])
    target = tmp_path / "made.bundle"
    work = tmp_path / f".made.bundle.{submitting._source_digest(submission)[:8]}"
    shutil.copytree(packed / "results", work)  # every cell is done

    def trained(cell: Cell, *_: object, **__: object) -> None:
        raise AssertionError(f"{cell.name} was trained again")

    def killed(*_: object, **__: object) -> None:
        raise KilledError

    def half_deleted(folder: Path) -> None:
        next(folder.rglob("seed-0.json")).unlink()
        raise KilledError

    monkeypatch.setattr(submitting, "check", lambda *_, **__: ())
    monkeypatch.setattr(submitting, "try_cell", trained)
    with monkeypatch.context() as dying:
        if where == "pack":
            dying.setattr(submitting, "pack", killed)
        elif where == "rename":
            dying.setattr(Path, "rename", lambda path, to: killed() if path == work else shutil.move(path, to))
        else:
            dying.setattr(shutil, "rmtree", half_deleted)
        with pytest.raises(KilledError):
            submitting.submit(submission, Path("unused"), target, lambda _: None)
    manifest = submitting.submit(submission, Path("unused"), target, lambda _: None)
    assert manifest.model_dump_json(indent=1) == (packed / "manifest.json").read_text().strip()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made.bundle"]
    with pytest.raises(UserError, match="is there already; take it away"):
        submitting.submit(submission, Path("unused"), target, lambda _: None)


def test_the_time_of_a_job_is_that_of_the_work_its_card_states(packed: Path, mini: Path) -> None:
    """Reading demands MACs on the card, and the probe counts them; so a card buys no more time than it needs."""
    submission = read_submission(packed / "models" / "mynet", [mini])
    cell = submitting.cells_of(submission, Path("unused"))[0]
    (macs,) = [one.macs for one in submission.card.parameters]
    assert macs is not None
    protocol = cell.card.evaluation
    conditions = 4 + len(protocol.curve.angles)
    assert scoring_seconds(cell, 48) == pytest.approx(600 + 48 * conditions * (0.002 + macs / 1e9))
    assert scoring_seconds(cell, 48) + training_seconds(cell, 200, 50) < 1500
    assert scoring_seconds(cell, 10**9) == 24 * 3600, "and no card buys more than a day"
