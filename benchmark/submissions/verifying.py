"""`verify bundle`: is it whole, is every number what its outputs give, do the weights give the outputs, does the recipe
give the weights? In this order; what foreign code is needed for comes last and runs in isolation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import isclose
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch

from benchmark.cards.schema import Model
from benchmark.equivariance.results import EquivarianceState, Exactness
from benchmark.evaluation import EvaluationState
from benchmark.metrics import Counts
from benchmark.runs.cell import Cell
from benchmark.runs.files import blob, weights_path
from benchmark.runs.finish import Measurements
from benchmark.runs.measured import Grade
from benchmark.runs.record import Record
from benchmark.runs.store import Store
from benchmark.runs.weights_only import STEM, WeightsOnly, weights_of, weights_only_path
from benchmark.submissions.bundle import Bundle, open_bundle
from benchmark.submissions.findings import Finding, Refused
from benchmark.submissions.submitting import cells_of
from benchmark.submissions.trial import counts_of, differences, score, shares, try_cell
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
    kept = {cell.name: _kept(bundle, cell) for cell in cells}
    say(f"{len(cells)} records are complete, of today's protocol, and recompute from their counts")
    grades: dict[str, tuple[Grade, str]] = {cell.name: ("self-reported", "") for cell in cells}
    if depth != "recompute":
        for cell in cells:
            findings += _rescored(bundle, cell, kept[cell.name], trust)
            grades[cell.name] = ("re-scored", "")
            say(f"{cell.name}: weights scored again in a fresh process")
        if findings:
            raise Refused(findings)
    if depth == "retrain" and not bundle.submission.trained_elsewhere:
        cell = chosen_cell(bundle, cells)
        say(f"{cell.name}: chosen by the bundle's digest to be trained again")
        grades[cell.name] = _retrained(bundle, cell, cells, trust)
        say(f"{cell.name}: {grades[cell.name][1]}")
    measured = (
        Measured(
            cell=cell.name,
            place=kept[cell.name].place.relative_to(bundle.results).as_posix(),
            grade=grades[cell.name][0],
            note=grades[cell.name][1],
        )
        for cell in cells
    )
    return BundleReport(bundle, tuple(measured))


def chosen_cell(bundle: Bundle, cells: Sequence[Cell]) -> Cell:
    """The cell that is trained again: its submitter cannot choose it, for every file moves the digest."""
    return cells[int(bundle.manifest.digest, 16) % len(cells)]


@dataclass(frozen=True)
class _Kept:
    """What a record, or a score of weights that came trained, says of its outputs, weights and measurements."""

    place: Path
    counts: Counts
    parameters: int
    macs: int
    after: EquivarianceState
    exactness: Exactness | None
    outputs: str | None
    weights: Path


def _kept(bundle: Bundle, cell: Cell) -> _Kept:
    results = bundle.results
    if bundle.submission.trained_elsewhere:
        place = weights_only_path(results, cell.card.full_name, cell.entry)
        found = WeightsOnly.model_validate_json(place.read_bytes())
        return _Kept(
            place,
            found.counts,
            found.parameters,
            found.macs,
            found.equivariance,
            found.exactness,
            found.outputs.sha256,
            weights_of(results, found),
        )
    place, record = Store(results).record_path(cell), _record(bundle, cell)
    return _Kept(
        place,
        record.counts,
        record.cost.parameters,
        record.cost.macs,
        record.equivariance.after,
        record.equivariance.exactness_after,
        record.outputs.sha256 if record.outputs else None,
        weights_path(place, results, record),
    )


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
    trained = not bundle.submission.trained_elsewhere
    for (benchmark, entry), seeds in wanted.items():
        place = f"results/{benchmark}/{entry}"
        files = {f"{place}/seed-{seed}.json" if trained else f"{place}/{STEM}.json": seed for seed in seeds}
        there = {seed for name, seed in files.items() if name in bundle.manifest.files}
        if there != seeds or stated.get((benchmark, entry)) != (seeds if trained else set()):
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


def _rescored(bundle: Bundle, cell: Cell, kept: _Kept, trust: bool) -> Iterator[Finding]:
    """The outputs against the true labels, and the weights against the outputs."""
    test, recorded = shares(cell).test, _outputs(bundle, kept)
    if recorded is None or not torch.equal(recorded[1], test.labels):
        what = f"{cell.name}: its outputs are missing, or keep other labels than the data set has"
        yield Finding(check="outputs", what=what, remedy=REMEDY)
        return
    outputs = recorded[0]
    if counts_of(cell, outputs, test.labels) != kept.counts:
        what = f"{cell.name}: its outputs do not give the counts that it states"
        yield Finding(check="outputs", what=what, remedy=REMEDY)
    weights = safetensors.torch.load(kept.weights.read_bytes())
    try:
        found = score(cell, bundle.submission.folder, weights, test.images, trust=trust)
    except Refused as error:
        yield from error.findings
        return
    for difference in (*differences(outputs, found.evaluation), *_other_measurements(kept, found.measured)):
        what = f"{cell.name}: its weights, scored again, give something else: {difference}"
        yield Finding(check="rescore", what=what, remedy=REMEDY)


def _other_measurements(kept: _Kept, now: Measurements) -> Iterator[str]:
    """Where stated costs and equivariance are not those that the weights have."""
    if kept.parameters != now.parameters:
        yield f"{now.parameters} parameters, not {kept.parameters}"
    if kept.macs != now.macs:
        yield f"{now.macs} MACs, not {kept.macs}"
    if kept.exactness is None or kept.exactness.decision != now.after.exactness.decision:
        yield f"the network is {now.after.exactness.decision}, which it does not state"
    then, error = kept.after.invariance_error, now.after.state.invariance_error
    if (then is None) != (error is None) or (
        then is not None and error is not None and not isclose(then, error, rel_tol=CLOSE, abs_tol=ZERO)
    ):
        yield f"invariance error {error}, not {then}"


def _outputs(bundle: Bundle, kept: _Kept) -> tuple[EvaluationState, torch.Tensor] | None:
    """The kept outputs by element and angle, and the labels kept with them; null where they are not there."""
    if kept.outputs is None or not (path := blob(bundle.results, kept.outputs)).exists():
        return None
    tensors = safetensors.torch.load(path.read_bytes())
    try:
        logits = dict(zip(kept.counts.elements, tensors["logits"], strict=True))
        classes = dict(zip(kept.counts.angles, tensors["angle_classes"], strict=True))
        return EvaluationState(logits=logits, classes=classes), tensors["labels"]
    except (KeyError, ValueError):
        return None


def _retrained(bundle: Bundle, cell: Cell, cells: Sequence[Cell], trust: bool) -> tuple[Grade, str]:
    """Train a cell again in isolation and judge it as `verify records --retrain` does."""
    record = _record(bundle, cell)
    others = [
        _record(bundle, other)
        for other in cells
        if (other.benchmark, other.entry) == (cell.benchmark, cell.entry) and other.seed != cell.seed
    ]
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
