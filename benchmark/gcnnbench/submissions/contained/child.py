"""Entry point of the contained process: applies resource limits and the system-call filter, then runs one job."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from gcnnbench.submissions.contained.syscalls import shut_doors
from gcnnbench.submissions.limits import Limits, bind


def main(given: Path, report: int, values: int, kind: str) -> None:
    """Do the job that stands in a folder.

    Args:
        given: holds `job.json`, `tensors` and the folder `submission`.
        report: the descriptor that the JSON report is written to.
        values: the descriptor that the tensors are written to.
        kind: of the container.
    """
    document = json.loads((given / "job.json").read_text(encoding="utf-8"))
    limits = Limits(**document["limits"])
    bind(limits, contained=kind != "none")
    if kind != "none":
        shut_doors()
    from gcnnbench.submissions.contained.jobs import run_job

    findings, measured, tensors = run_job(given, document["job"], document["arguments"])
    _write(values, tensors)
    _write(report, json.dumps({"findings": findings, "report": measured}).encode("utf-8"))


def _write(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
