"""The jobs of the contained process by name (probe, train, score), and the finding that an error in one becomes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import safetensors.torch

from gcnnbench.submissions.contained.integrity import Snapshot, snapshot
from gcnnbench.submissions.contained.probe import probe_job
from gcnnbench.submissions.contained.subject import RefusedError, Subject
from gcnnbench.submissions.contained.training_job import Done, export_job, score_job, train_graphs_job, train_job
from gcnnbench.submissions.findings import Finding
from gcnnbench.submissions.limits import broken_limit

JOBS: Mapping[str, Callable[[Subject, Snapshot], Done]] = {
    "probe": probe_job,
    "export": export_job,
    "train": train_job,
    "train-graphs": train_graphs_job,
    "score": score_job,
}

RESERVE_BYTES = 2**24
"""Kept back while submitted code runs: where it takes all memory, this is what is left to say so."""


def run_job(given: Path, job: str, arguments: dict[str, Any]) -> tuple[list[dict[str, str]], dict[str, Any], bytes]:
    """Do a job.

    Args:
        given: the folder that the host laid out.
        job: its name.
        arguments: of the job.

    Returns:
        Findings and report as JSON data, and the tensors as a safetensors file.
    """
    subject, before = Subject.read(given, arguments), snapshot()
    reserve = bytearray(RESERVE_BYTES)
    try:
        findings, report, tensors = JOBS[job](subject, before)
    except Exception as error:
        del reserve
        findings, report, tensors = [finding_of(error)], {}, {}
    contiguous = {name: value.contiguous() for name, value in tensors.items()}
    return [one.model_dump() for one in findings], report, safetensors.torch.save(contiguous) if tensors else b""


def finding_of(error: Exception) -> Finding:
    """What an exception in submitted code says about it; under the name of a limit where it tells of one."""
    limit = broken_limit(error)
    if limit is not None:
        return Finding(check=limit[0], what=limit[1], remedy="look for what takes it; a network needs far less")
    if isinstance(error, RefusedError):
        return error.finding
    said = " ".join(str(error).split())[:300]
    return Finding(check="crash", what=f"{type(error).__name__}: {said}", remedy="let the code run to its end")
