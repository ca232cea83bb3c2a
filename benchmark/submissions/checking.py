"""`submit --check`: everything that can be known of a submission before it is trained, all findings at once."""

from __future__ import annotations

from pathlib import Path

import safetensors.torch

from benchmark.cards.registry import Registry
from benchmark.runs.cell import Cell
from benchmark.submissions.findings import Finding
from benchmark.submissions.folder import WEIGHTS, Submission
from benchmark.submissions.trial import Weights, probe


def check(submission: Submission, data: Path, *, trust: bool = False) -> tuple[Finding, ...]:
    """Look at the network of every entry, in isolation.

    Args:
        submission: a folder whose files and card are right.
        data: the data directory.
        trust: whether the code may run where there is no isolation.

    Returns:
        Everything that is wrong; nothing where all is right.

    Raises:
        UserError: a data set is not here, or there is no isolation and no trust.
    """
    findings = list(_taken(submission))
    for benchmark, entry in submission.entries:
        cell = Cell(submission.registry, benchmark, entry, 0, "cpu", 1, data)
        findings += probe(cell, submission.folder, brought_weights(submission), trust=trust)
    return tuple(dict.fromkeys(findings))


def brought_weights(submission: Submission) -> Weights:
    """The weights that a submission brings; none where it is trained here."""
    content = submission.files.get(WEIGHTS)
    return {} if content is None else safetensors.torch.load(content)


def _taken(submission: Submission) -> list[Finding]:
    """Whether another model is registered under this name."""
    name, registered = submission.card.name, Registry.load()
    if name not in registered.models:
        return []
    folder = registered.folder("model", name)
    if all(
        (folder / file).is_file() and (folder / file).read_bytes() == submission.files[file]
        for file in submission.files
    ):
        return []
    what = f"the name {name} is taken by {folder}"
    return [Finding(check="name-taken", what=what, remedy="another network, or another width of it, is another name")]
