"""Verifies a bundle: files, card and networks, counts against outputs, outputs against weights.

With cells trained again also: its weights those of the recipe. What foreign code is needed for comes after what is only
read, in isolation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors.torch
import torch

from gcnnbench.cards.base import Model
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many
from gcnnbench.record_checks.comparing import other_readings, same_error
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.measured import BESIDE_CODE, Checked, Grade
from gcnnbench.runs.measuring import Measurements
from gcnnbench.scoring.conditions import EvaluationState
from gcnnbench.submissions.bundle import Bundle, open_bundle
from gcnnbench.submissions.bundle_records import REMEDY, Stated, record_findings, record_of, stated_by
from gcnnbench.submissions.cell_jobs import shares
from gcnnbench.submissions.checking import check
from gcnnbench.submissions.findings import Finding, Refused, guarded
from gcnnbench.submissions.rescoring import counts_of, differences, other_order, outputs_of, score
from gcnnbench.submissions.retraining import Wanted, draw, drawn_in_words, grades_of
from gcnnbench.submissions.submitting import cells_of
from gcnnbench.submissions.tree import WEIGHTS_BYTES, read_inside
from gcnnbench.submissions.trial import try_cell, why_not_exported

Depth = Literal["read", "check", "rescore"]
"""How far a bundle is verified: only read; its networks held against the checks of `submit --check`; also scored."""
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
    retrain: Wanted = 0,
    trust: bool = False,
    include: Sequence[Path] = (),
    say: Say = lambda _: None,
) -> BundleReport:
    """Verify a bundle of records.

    Args:
        path: the bundle.
        data: the data directory.
        depth: how far.
        retrain: how many cells are trained again, or all; the verifier draws them.
        trust: whether its code may run where there is no isolation.
        include: further cards, as of a benchmark that is not registered.
        say: told what is being done.

    Returns:
        The grade of every record; one that is refused is none.

    Raises:
        UserError: there is no bundle, a data set is not here, there is no isolation and no trust, or cells are to be
            trained again of a network that came trained.
        Refused: something is wrong; everything that was found.
    """
    bundle = open_bundle(path, include)
    if retrain and bundle.submission.trained_elsewhere:
        raise UserError(f"{path} brings weights that were trained elsewhere; nobody can train them again: no --retrain")
    with guarded(path):
        return _verify(bundle, data, depth, retrain, trust, say)


def _verify(bundle: Bundle, data: Path, depth: Depth, retrain: Wanted, trust: bool, say: Say) -> BundleReport:
    cells = cells_of(bundle.submission, data)
    files = how_many(len(bundle.manifest.files), "file has its", "files have their")
    say(f"{files} sha256, and the manifest its digest")
    findings = record_findings(bundle, cells)
    if depth == "read" and findings:
        raise Refused(findings)
    if depth == "read":
        say("nothing of it was run: the checks of `submit --check` were not made")
    else:
        say("its networks are held against the checks of `submit --check`")
        findings += check(bundle.submission, data, trust=trust)
    if depth != "read" and not findings:
        findings += _trained_where(bundle, cells, trust)
    if findings:
        raise Refused(findings)
    stated = {cell.name: stated_by(bundle, cell) for cell in cells}
    records = how_many(len(cells), "record is", "records are")
    say(f"{records} complete, of today's protocol, and recomputed from their own counts")
    grades: dict[str, tuple[Checked, str]] = {cell.name: ("self-reported", "") for cell in cells}
    if depth == "rescore":
        for cell in cells:
            findings += _rescored(bundle, cell, stated[cell.name], trust)
            grades[cell.name] = ("re-scored", "")
            say(f"{cell.name}: weights scored again in a fresh process")
        if findings:
            raise Refused(findings)
    if retrain:
        drawn = draw(cells, retrain)
        say(drawn_in_words(drawn, cells))
        for cell, graded in grades_of(
            drawn,
            lambda cell: record_of(bundle, cell),
            lambda cell: try_cell(cell, bundle.submission.code, trust=trust).record,
        ):
            grades[cell.name] = graded
            say(f"{cell.name}: {graded[0]}; {graded[1]}")
    measured = (
        Measured(
            cell=cell.name,
            place=stated[cell.name].place.relative_to(bundle.results).as_posix(),
            grade=_full_grade(bundle, cell, grades[cell.name][0]),
            note=grades[cell.name][1],
        )
        for cell in cells
    )
    return BundleReport(bundle, tuple(measured))


def _full_grade(bundle: Bundle, cell: Cell, checked: Checked) -> Grade:
    """How far a record was checked, and whether its code ran while its network was trained."""
    if bundle.submission.trained_elsewhere or record_of(bundle, cell).provenance.beside_code is None:
        return checked
    return BESIDE_CODE[checked]


def _trained_where(bundle: Bundle, cells: Sequence[Cell], trust: bool) -> Iterator[Finding]:
    """Records that do not say that their code ran while they were trained, of a network that cannot be exported."""
    if bundle.submission.trained_elsewhere:
        return
    silent = [cell for cell in cells if record_of(bundle, cell).provenance.beside_code is None]
    for cell in {(cell.benchmark, cell.entry): cell for cell in silent}.values():
        if reason := why_not_exported(cell, bundle.submission.code, trust=trust):
            what = f"{cell.name} does not say that it was trained beside its code, and cannot be exported: {reason}"
            yield Finding(check="graph", what=what, remedy=REMEDY)


def _rescored(bundle: Bundle, cell: Cell, found: Stated, trust: bool) -> Iterator[Finding]:
    """The outputs against the true labels, and the weights against the outputs."""
    test = shares(cell).test
    recorded = _outputs(bundle, cell, found, test.labels)
    if recorded is None:
        what = f"{cell.name}: its outputs are not those of the test images, or keep other labels than the data set has"
        yield Finding(check="outputs", what=what, remedy=REMEDY)
        return
    if counts_of(cell, recorded, test.labels) != found.counts:
        what = f"{cell.name}: its outputs do not give the counts that it states"
        yield Finding(check="outputs", what=what, remedy=REMEDY)
    weights = safetensors.torch.load(_read(bundle, found.weights))
    try:
        scored = score(cell, bundle.submission.code, weights, test, trust=trust)
    except Refused as error:
        yield from error.findings
        return
    for difference in (
        *differences(recorded, scored.evaluation),
        *other_order(found.counts, scored.evaluation, test.labels),
        *_other_measurements(found, scored.measured),
    ):
        what = f"{cell.name}: its weights, scored again, give something else: {difference}"
        yield Finding(check="rescore", what=what, remedy=REMEDY)


def _other_measurements(stated: Stated, now: Measurements) -> Iterator[str]:
    """Where stated costs, equivariance and readings of probes are not those that the weights have."""
    if stated.parameters != now.parameters:
        yield f"{how_many(now.parameters, 'parameter')}, not {stated.parameters:,}"
    if stated.macs != now.macs:
        yield f"{now.macs} MACs, not {stated.macs}"
    if stated.exactness is None or stated.exactness.decision != now.after.exactness.decision:
        yield f"the network is {now.after.exactness.decision}, which it does not state"
    then, error = stated.after.invariance_error, now.after.state.invariance_error
    if not same_error(then, error):
        yield f"invariance error {error}, not {then}"
    yield from other_readings(stated.probes, now.probes, "probes")


def _outputs(bundle: Bundle, cell: Cell, found: Stated, labels: torch.Tensor) -> EvaluationState | None:
    """The kept outputs, of the shapes that the protocol determines; None where they are others or for other labels."""
    if found.outputs is None:
        return None
    tensors = safetensors.torch.load(_read(bundle, found.outputs))
    theirs = tensors.get("labels")
    if theirs is None or theirs.dtype != labels.dtype or not torch.equal(theirs, labels):
        return None
    return outputs_of(cell, tensors, len(labels))


def _read(bundle: Bundle, path: Path) -> bytes:
    return read_inside(bundle.path, path.relative_to(bundle.path).as_posix(), WEIGHTS_BYTES)
