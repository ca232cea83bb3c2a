"""`verify bundle`: is it whole, is every number what its outputs give, do the weights give the outputs, does the recipe
give the weights? In this order; what foreign code is needed for comes last and runs in isolation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch

from benchmark.cards.schema import Model
from benchmark.evaluation import EvaluationState, count
from benchmark.runs.cell import Cell
from benchmark.runs.files import blob, weights_path
from benchmark.runs.measured import Grade
from benchmark.runs.record import Record
from benchmark.runs.store import Store
from benchmark.submissions.bundle import Bundle, open_bundle
from benchmark.submissions.findings import Finding, Refused
from benchmark.submissions.submitting import cells_of
from benchmark.submissions.trial import Scored, differences, score, shares, try_cell
from benchmark.verification.deeper import NotCheckableError
from benchmark.verification.records import verify_records
from benchmark.verification.retraining import judged

Depth = Literal["recompute", "rescore", "retrain"]
CLOSE, ZERO = 1e-6, 1e-9
"""Errors of equivariance are measured in float64: they repeat to a millionth, and below a thousand-millionth are 0."""
REMEDY = "ask for the bundle of an unedited `gcnnbench submit`"
Say = Callable[[str], None]


class Measured(Model):
    """Who measured a record: its cell in words, its file, the grade it has reached, and what is to be known of it."""

    cell: str
    place: str
    grade: Grade
    note: str = ""


@dataclass(frozen=True)
class BundleReport:
    """What a bundle's verification found."""

    bundle: Bundle
    measured: tuple[Measured, ...]


def verify_bundle(
    path: Path,
    data: Path,
    *,
    depth: Depth = "rescore",
    trust: bool = False,
    include: Sequence[Path] = (),
    say: Say = lambda _: None,
) -> BundleReport:
    """Verify a bundle of records.

    Args:
        path: the bundle.
        data: the data directory.
        depth: only recompute from what the bundle holds, also score its weights again, or also train one cell again,
            chosen by the bundle's digest.
        trust: whether its code may run where there is no isolation.
        include: further cards, as of a benchmark that is not registered.
        say: told what is being done.

    Returns:
        The grade of every record; one that is refused is none.

    Raises:
        UserError: there is no bundle, a data set is not here, or there is no isolation and no trust.
        Refused: something is wrong; everything that was found.
    """
    bundle = open_bundle(path, include)
    cells = cells_of(bundle.submission, data)
    say(f"{len(bundle.manifest.files)} files have their sha256, and the manifest its digest")
    findings = [*_incomplete(bundle, cells), *_unsound(bundle)]
    if findings:
        raise Refused(findings)
    records = {cell.name: _record(bundle, cell) for cell in cells}
    say(f"{len(cells)} records are complete, of today's protocol, and recompute from their counts")
    grades: dict[str, tuple[Grade, str]] = {cell.name: ("self-reported", "") for cell in cells}
    if depth != "recompute":
        for cell in cells:
            findings += _rescored(bundle, cell, records[cell.name], trust)
            grades[cell.name] = ("re-scored", "")
            say(f"{cell.name}: weights scored again in a fresh process")
        if findings:
            raise Refused(findings)
    if depth == "retrain":
        cell = chosen_cell(bundle, cells)
        say(f"{cell.name}: chosen by the bundle's digest to be trained again")
        grades[cell.name] = _retrained(bundle, cell, records, trust)
        say(f"{cell.name}: {grades[cell.name][1]}")
    store = Store(bundle.results)
    measured = (
        Measured(
            cell=cell.name,
            place=store.record_path(cell).relative_to(bundle.results).as_posix(),
            grade=grades[cell.name][0],
            note=grades[cell.name][1],
        )
        for cell in cells
    )
    return BundleReport(bundle, tuple(measured))


def chosen_cell(bundle: Bundle, cells: Sequence[Cell]) -> Cell:
    """The cell that is trained again: its submitter cannot choose it, for every file moves the digest."""
    return cells[int(bundle.manifest.digest, 16) % len(cells)]


def _record(bundle: Bundle, cell: Cell) -> Record:
    record = Store(bundle.results).record(cell)
    if record is None:
        raise Refused([Finding(check="completeness", what=f"{cell.name} has no record", remedy=REMEDY)])
    return record


def _incomplete(bundle: Bundle, cells: Sequence[Cell]) -> Iterator[Finding]:
    """All seeds of every entered benchmark, as its protocol is today, and nothing else."""
    wanted: dict[tuple[str, str], set[int]] = {}
    for cell in cells:
        wanted.setdefault((cell.card.full_name, cell.entry), set()).add(cell.seed)
    stated = {(trial.benchmark, trial.entry): set(trial.seeds) for trial in bundle.manifest.trials}
    remedy = "run every seed that the protocol has: all or none, so that nobody picks"
    for (benchmark, entry), seeds in wanted.items():
        there = {seed for seed in seeds if f"results/{benchmark}/{entry}/seed-{seed}.json" in bundle.manifest.files}
        if there != seeds or stated.get((benchmark, entry)) != seeds:
            lacking = ", ".join(str(seed) for seed in sorted(seeds - there)) or "none in its files"
            what = f"{benchmark} {entry} has not the {len(seeds)} seeds of the protocol; missing: {lacking}"
            yield Finding(check="completeness", what=what, remedy=remedy)
    for benchmark, entry in stated.keys() - wanted.keys():
        what = f"{benchmark} {entry} is no entry of the card, or of another version of the benchmark"
        yield Finding(check="completeness", what=what, remedy=remedy)
    expected = {f"{benchmark}/{entry}" for benchmark, entry in wanted}
    for name in bundle.manifest.files:
        folder = name.removeprefix("results/").rpartition("/")[0]
        if name.startswith("results/") and folder != "outputs" and folder not in expected:
            yield Finding(check="completeness", what=f"{name} is of no entry of the card", remedy=remedy)


def _unsound(bundle: Bundle) -> Iterator[Finding]:
    """What recomputing the records shows, and records of another protocol than today's."""
    for row in verify_records(bundle.submission.registry, bundle.results):
        for wrong in row.findings:
            yield Finding(check="record", what=f"{row.id}: {wrong}", remedy=REMEDY)
        for note in row.notes:
            if "not on the leaderboard" in note:
                remedy = "submit again with this version of the suite"
                yield Finding(check="protocol", what=f"{row.id}: {note}", remedy=remedy)


def _rescored(bundle: Bundle, cell: Cell, record: Record, trust: bool) -> Iterator[Finding]:
    """The outputs against the true labels, and the weights against the outputs."""
    path = Store(bundle.results).record_path(cell)
    test, recorded = shares(cell).test, _outputs(bundle, record)
    if recorded is None or not torch.equal(recorded[1], test.labels):
        what = f"{cell.name}: its outputs are missing, or keep other labels than the data set has"
        yield Finding(check="outputs", what=what, remedy=REMEDY)
        return
    outputs = recorded[0]
    if count(outputs, test.labels, cell.registry.dataset(cell.card.dataset).classes) != record.counts:
        what = f"{cell.name}: its outputs do not give the counts of its record"
        yield Finding(check="outputs", what=what, remedy=REMEDY)
    weights = safetensors.torch.load(weights_path(path, bundle.results, record).read_bytes())
    folder = bundle.submission.folder
    try:
        found = score(cell, folder, weights, test.images, trust=trust)
    except Refused as error:
        yield from error.findings
        return
    for difference in (*differences(outputs, found.evaluation), *_other_measurements(record, found)):
        what = f"{cell.name}: its weights, scored again, give something else: {difference}"
        yield Finding(check="rescore", what=what, remedy=REMEDY)


def _other_measurements(record: Record, found: Scored) -> Iterator[str]:
    """Where costs and equivariance of the record are not those that the weights have."""
    now, stated = found.measured, record.equivariance
    if record.cost.parameters != now.parameters:
        yield f"{now.parameters} parameters, not {record.cost.parameters}"
    if record.cost.macs != now.macs:
        yield f"{now.macs} MACs, not {record.cost.macs}"
    if stated.exactness_after is None or stated.exactness_after.decision != now.after.exactness.decision:
        yield f"the network is {now.after.exactness.decision}, which the record does not say"
    then, error = stated.after.invariance_error, now.after.state.invariance_error
    if (then is None) != (error is None) or (
        then is not None and error is not None and not isclose(then, error, rel_tol=CLOSE, abs_tol=ZERO)
    ):
        yield f"invariance error {error}, not {then}"


def _outputs(bundle: Bundle, record: Record) -> tuple[EvaluationState, torch.Tensor] | None:
    """A record's outputs by element and angle, and the labels kept with them; null where they are not there."""
    if record.outputs is None or not (path := blob(bundle.results, record.outputs.sha256)).exists():
        return None
    tensors = safetensors.torch.load(path.read_bytes())
    try:
        logits = dict(zip(record.counts.elements, tensors["logits"], strict=True))
        classes = dict(zip(record.counts.angles, tensors["angle_classes"], strict=True))
        return EvaluationState(logits=logits, classes=classes), tensors["labels"]
    except (KeyError, ValueError):
        return None


def _retrained(bundle: Bundle, cell: Cell, records: Mapping[str, Record], trust: bool) -> tuple[Grade, str]:
    """Train a cell again in isolation and judge it as `verify records --retrain` does."""
    record = records[cell.name]
    others = [other for other in records.values() if other.entry == record.entry and other.seed != record.seed]
    others = [other for other in others if other.benchmark == record.benchmark]
    made = try_cell(cell, bundle.submission.folder, trust=trust).record
    try:
        outcome = judged(cell, record, made, others)
    except NotCheckableError as why:
        return "re-scored", str(why)
    if outcome.findings:
        raise Refused(
            Finding(check="retrain", what=f"{cell.name}: {found}", remedy=REMEDY) for found in outcome.findings
        )
    return "re-trained", "; ".join(outcome.checked)
