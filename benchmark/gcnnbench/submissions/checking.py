"""`submit --check`: everything that can be known of a submission before it is trained, all findings at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import safetensors.torch

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.registry import Registry
from gcnnbench.errors import UserError
from gcnnbench.runs.cell import Cell
from gcnnbench.submissions.cell_jobs import Tensors, run_job, shares
from gcnnbench.submissions.findings import Finding, Refused, guarded
from gcnnbench.submissions.folder import CODE, Submission, examine
from gcnnbench.submissions.folder import WEIGHTS as WEIGHTS_FILE
from gcnnbench.submissions.sandbox import Code
from gcnnbench.submissions.tensor_names import WEIGHTS, prefixed
from gcnnbench.submissions.trial import why_not_exported

PROBE_SECONDS = 600.0
PROBED_IMAGES = 64


def check(submission: Submission, data: Path, *, trust: bool = False) -> tuple[Finding, ...]:
    """Look at the network of every entry, in isolation.

    Args:
        submission: what a folder holds, as far as it is right.
        data: the data directory.
        trust: whether the code may run where there is no isolation.

    Returns:
        Everything that is wrong; nothing where all is right.

    Raises:
        UserError: a data set is not here, or there is no isolation and no trust.
    """
    findings = list(_taken(submission))
    if CODE in submission.files:
        for benchmark, entry in submission.entries:
            cell = Cell(submission.registry, benchmark, entry, 0, "cpu", 1, data)
            findings += _probe(cell, submission.code, own_weights(submission), trust)
    return tuple(dict.fromkeys(findings))


def check_folder(path: Path, data: Path, include: Sequence[Path] = (), *, trust: bool = False) -> Submission:
    """Look at a submission's folder, its card and its networks, and say all that is wrong with them at once.

    Args:
        path: the folder.
        data: the data directory.
        include: further cards, as of a benchmark that is not registered.
        trust: whether its code may run where there is no isolation.

    Raises:
        UserError: there is no folder, a data set is not here, or there is no isolation and no trust.
        Refused: something is wrong with it; everything that was found.
    """
    found = examine(path, include)
    findings = list(found.findings)
    with guarded(path):
        if found.submission is not None:
            try:
                findings += check(found.submission, data, trust=trust)
            except UserError as error:
                if not findings:
                    raise
                remedy = "mend what else is wrong first"
                findings.append(Finding(check="unchecked", what=f"the network was not tried: {error}", remedy=remedy))
    if findings or found.submission is None:
        raise Refused(findings)
    return found.submission


def export_notes(submission: Submission, data: Path, *, trust: bool = False) -> list[str]:
    """What is to be known of entries whose network must be trained beside its own code."""
    notes = []
    for benchmark, entry in () if submission.trained_elsewhere else submission.entries:
        cell = Cell(submission.registry, benchmark, entry, 0, "cpu", 1, data)
        if reason := why_not_exported(cell, submission.code, trust=trust):
            notes.append(f"{benchmark} {entry} will be trained beside its own code, and its grade says so: {reason}")
    return notes


def own_weights(submission: Submission) -> Tensors:
    """The weights that a submission brings; none where it is trained here."""
    content = submission.files.get(WEIGHTS_FILE)
    return {} if content is None else safetensors.torch.load(content)


def _probe(cell: Cell, code: Code, weights: Tensors, trust: bool) -> tuple[Finding, ...]:
    """Everything that can be known of an entry's network before training; an empty report is a finding, too."""
    sizes = sorted({*cell.model.claimed_at, split_entry(cell.entry)[1]})
    tensors = {"images": shares(cell).train.images[:PROBED_IMAGES]} | prefixed(WEIGHTS, weights)
    outcome = run_job("probe", cell, code, tensors, PROBE_SECONDS, trust, sizes=sizes)
    if not outcome.findings and not {"parameters", "macs"} <= set(outcome.report):
        remedy = "let the process run to its end"
        return (Finding(check="unreadable-result", what=f"{cell.entry}: the checks left no report", remedy=remedy),)
    return outcome.findings


def _taken(submission: Submission) -> Iterator[Finding]:
    """Whether another model is registered under this name."""
    name, registered = submission.card.name, Registry.load()
    if name not in registered.models:
        return
    folder = registered.folder("model", name)
    if any(
        not (folder / file).is_file() or (folder / file).read_bytes() != content
        for file, content in submission.files.items()
    ):
        remedy = "another network, or another width of it, is another name"
        yield Finding(check="name-taken", what=f"the name {name} is taken by {folder}", remedy=remedy)
