"""`submit`: the entered benchmarks run under the protocol of the built-in entries, all cells or nothing, and packed."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from gcnnbench.disk import make_folder
from gcnnbench.errors import UserError
from gcnnbench.formatting import share
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.events import Event
from gcnnbench.runs.files import blob
from gcnnbench.runs.plan import unfinished
from gcnnbench.runs.store import Store
from gcnnbench.runs.weights_only import weights_of, weights_only_path
from gcnnbench.submissions.bundle import pack, read_manifest, there_already
from gcnnbench.submissions.checking import check, own_weights
from gcnnbench.submissions.findings import Finding, Refused
from gcnnbench.submissions.folder import Submission
from gcnnbench.submissions.manifest import Manifest
from gcnnbench.submissions.sandbox import INTERRUPTED
from gcnnbench.submissions.trial import try_cell
from gcnnbench.submissions.weights_only import ScoredWeights, score_weights

Report = Callable[[Event], None]


def cells_of(submission: Submission, data: Path) -> list[Cell]:
    """The cells of every entered benchmark on the CPU with one thread each: all seeds of the protocol.

    A network that comes trained has one cell a benchmark, of which only the test images matter.
    """
    return [
        Cell(submission.registry, benchmark, entry, seed, "cpu", 1, data)
        for benchmark, entry in submission.entries
        for seed in range(1 if submission.trained_elsewhere else submission.registry.benchmark(benchmark).seeds)
    ]


def submit(
    submission: Submission, data: Path, target: Path, report: Report, *, jobs: int = 1, trust: bool = False
) -> Manifest:
    """Check, run every cell that has no record yet, and pack. Killed anywhere, the same call completes it.

    Args:
        submission: a folder whose files and card are right.
        data: the data directory.
        target: the bundle's directory.
        report: told how the cells go on.
        jobs: cells at the same time.
        trust: whether the code may run where there is no isolation.

    Raises:
        UserError: the bundle is there already, a data set is not here, or there is no isolation and no trust.
        Refused: a check found something, or a cell did not end as it should; nothing is packed, and what is done is
            kept for the next try.
    """
    work = target.with_name(f".{target.name}.{_source_digest(submission)[:8]}")
    done = work.with_name(f"{work.name}.done")
    if target.exists() and done.exists():  # a call was killed while it cleaned up
        shutil.rmtree(done)
        return read_manifest(target)
    if target.exists() and not work.exists():  # both are there where a call was killed after packing
        raise UserError(there_already(target))
    store = Store(work)
    store.require_writable()
    findings = check(submission, data, trust=trust)
    if findings:
        raise Refused(findings)
    make_folder(work)  # before anything is trained

    def run(cell: Cell) -> tuple[Finding, ...]:
        report(Event("started", cell.name, text="started in isolation"))
        try:
            if submission.trained_elsewhere:
                found = score_weights(cell, submission.code, own_weights(submission), trust=trust)
                _keep(work, found)
                metrics = found.score.metrics
            else:
                finished = try_cell(cell, submission.code, trust=trust)
                store.add(cell, finished)
                metrics = finished.record.metrics
                if reason := finished.record.provenance.beside_code:
                    report(Event("said", cell.name, text=f"trained beside its own code: {reason}"))
        except Refused as error:
            report(Event("failed", cell.name, text=str(error.findings[0])))
            return error.findings
        report(Event("finished", cell.name, text=f"orbit {share(metrics['accuracy.orbit'])}%"))
        return ()

    cells = cells_of(submission, data)
    wrong = _at_once(run, unfinished(store, cells), jobs)
    if wrong:
        raise Refused(wrong)
    manifest = pack(submission, work, target)
    if done.exists():
        shutil.rmtree(done)  # of a bundle that was taken away since
    work.rename(done)  # else a call killed while it deletes would leave half a results directory to go on from
    shutil.rmtree(done)
    return manifest


def _at_once(run: Callable[[Cell], tuple[Finding, ...]], cells: list[Cell], jobs: int) -> list[Finding]:
    """What went wrong in any cell, several at a time; each waits for a process of its own, so threads will do."""
    with ThreadPoolExecutor(jobs) as pool:
        try:
            return [finding for found in pool.map(run, cells) for finding in found]
        except BaseException:
            INTERRUPTED.set()
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            INTERRUPTED.clear()


def _keep(results: Path, found: ScoredWeights) -> None:
    """Write a score of weights and its files, the score last."""
    score, store = found.score, Store(results)
    store.write(weights_of(results, score), found.weights)
    store.write(blob(results, score.outputs.sha256), found.outputs)
    path = weights_only_path(results, score.benchmark, score.entry)
    store.write(path, score.model_dump_json(indent=1).encode() + b"\n")


def _source_digest(submission: Submission) -> str:
    """The sha256 over names and contents of the folder: another source begins anew."""
    state = hashlib.sha256()
    for name, content in sorted(submission.files.items()):
        state.update(f"{name}\0{len(content)}\0".encode())
        state.update(content)
    return state.hexdigest()
