"""Runs one job on a submission in an isolated process, and reads its report and tensors back as data.

The child sees the interpreter, this package, a copy of the folder and the tensors it was given; no network, no other
file, no other process, and nothing that holds a test label. It leaves a JSON report and a safetensors file, both
written to files that the host opened and bounded, read after everything in the container was killed. What they say is
the word of a process in which foreign code ran: the host recomputes whatever it can from the tensors.
"""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from gcnnbench.cards.base import Model
from gcnnbench.disk import TRIED_BYTES
from gcnnbench.errors import UserError
from gcnnbench.outside_text import as_text
from gcnnbench.strict_json import parse_model
from gcnnbench.submissions.containment import PACKAGE, SEARCH_PATH, View, contained, interpreter_files, isolation
from gcnnbench.submissions.findings import Finding
from gcnnbench.submissions.limits import Limits, files_in, kill, memory_of, usage

Job = Literal["probe", "export", "train", "train-graphs", "score"]
Code = Mapping[str, bytes]

LOG_BYTES = 2**16
REPORT_BYTES = 10_000_000
WATCH_SECONDS = 0.05

INTERRUPTED = threading.Event()
"""Set where the user interrupts: only the main thread is told by the system, and the jobs of others must end, too."""


class Reported(Model):
    """What a child writes: what its checks found wrong, and what it measured."""

    findings: tuple[Finding, ...]
    report: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What a job leaves.

    Args:
        findings: what is wrong with the submission; a job that was stopped has one that is named for it.
        report: what was measured; empty where the job did not end by itself.
        tensors: what the job gives, on the CPU.
        log: the end of what the child printed.
    """

    findings: tuple[Finding, ...]
    report: dict[str, Any]
    tensors: dict[str, Tensor]
    log: str


def run_isolated(
    job: Job,
    code: Code,
    arguments: dict[str, Any],
    tensors: dict[str, Tensor],
    limits: Limits,
    *,
    trust: bool = False,
) -> Outcome:
    """Run a job on submitted code, contained as well as this machine can.

    Args:
        job: which one.
        code: the submission's files as they were read, by name; what the child gets of it.
        arguments: of the job, as JSON data.
        tensors: all the data that the child sees.
        limits: what it may take.
        trust: whether the code may run with the user's own rights where there is no isolation.

    Raises:
        UserError: this machine offers no isolation and `trust` is False, or has no room for the process's files.
    """
    offered = isolation()
    if offered.kind == "none" and not trust:
        raise UserError(
            f"submitted code cannot be contained on this machine ({offered.reason}): install bubblewrap, or, "
            "if you have read the code and trust it as your own, say --trust"
        )
    with ExitStack() as stack:
        try:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gcnnbench-")))
            results, log = (stack.enter_context(tempfile.TemporaryFile()) for _ in range(2))
            values = stack.enter_context(tempfile.TemporaryFile())
            given, scratch = _prepare(place, code, job, arguments, tensors, limits)
        except (OSError, SafetensorError) as error:
            raise _unwritten(error) from error
        view = View((*interpreter_files(), given), scratch, limits.output_bytes, limits.files)
        outputs = (results.fileno(), values.fileno())
        child = [
            sys.executable,
            "-s",
            "-P",
            "-m",
            "gcnnbench.submissions.contained.child",
            str(given),
            *map(str, outputs),
        ]
        process = subprocess.Popen(
            contained(offered.kind, view, [*child, offered.kind]),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=outputs,
            env=_environment(scratch),
            cwd=scratch,
            start_new_session=True,
        )
        try:
            stopped = _watch(process, limits, scratch if offered.kind != "none" else None)
        finally:
            kill(process.pid)
            process.wait()
        return _collect(process.returncode, stopped, results, values, log, limits)


def _prepare(
    place: Path, code: Code, job: Job, arguments: dict[str, Any], tensors: dict[str, Tensor], limits: Limits
) -> tuple[Path, Path]:
    """Lay out what the child is given, readable for a user who owns nothing, and an empty scratch directory."""
    place.chmod(0o755)
    given, scratch = place / "given", place / "scratch"
    (given / "submission").mkdir(parents=True)
    scratch.mkdir()
    for name, content in code.items():
        (given / "submission" / name).write_bytes(content)
    document = {"job": job, "arguments": arguments, "limits": vars(limits), "scratch": str(scratch)}
    (given / "job.json").write_text(json.dumps(document), encoding="utf-8")
    safetensors.torch.save_file({name: value.contiguous() for name, value in tensors.items()}, given / "tensors")
    for path in (given, *given.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return given, scratch


def _environment(scratch: Path) -> dict[str, str]:
    return {
        "PATH": SEARCH_PATH,
        "PYTHONPATH": str(PACKAGE.parent),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
        "LC_ALL": "C.UTF-8",
        "HOME": str(scratch),
        "USER": "submission",
        "TMPDIR": str(scratch),
        "OMP_NUM_THREADS": "1",
    }


def _watch(process: subprocess.Popen[bytes], limits: Limits, scratch: Path | None) -> Finding | None:
    """Wait for the child, and say which limit it broke; the caller kills it. `scratch` is a container's own."""
    deadline = time.monotonic() + limits.seconds
    while True:
        try:
            process.wait(WATCH_SECONDS)
        except subprocess.TimeoutExpired:
            pass
        else:
            return None
        if INTERRUPTED.is_set():
            raise KeyboardInterrupt
        now = usage(process.pid)
        if now.tasks > limits.processes:
            return exceeded("process-limit", f"it started more than {limits.processes} processes and threads")
        if 2 * now.most_bytes > limits.memory_bytes and memory_of(now.pids) > limits.memory_bytes:
            return exceeded("memory-limit", f"it took more than {limits.memory_bytes / 2**20:.0f} MiB of memory")
        if scratch is not None and files_in(scratch, now.pids[::-1]) > limits.files:
            return exceeded("output-limit", f"it made more than {limits.files} files")
        if time.monotonic() > deadline:
            return exceeded("time-limit", f"it was not done after {limits.seconds:g} seconds")


def exceeded(check: str, what: str) -> Finding:
    """The finding for a limit that was broken."""
    return Finding(check=check, what=what, remedy="a network of this benchmark needs far less; look for what takes it")


def _collect(
    returncode: int, stopped: Finding | None, results: IO[bytes], values: IO[bytes], log: IO[bytes], limits: Limits
) -> Outcome:
    """Read what the child left, none of it trusted."""
    said = _log(log)
    for file, most in (
        (results, min(REPORT_BYTES, limits.output_bytes)),
        *((one, limits.output_bytes) for one in (values, log)),
    ):
        if stopped is None and _size(file) >= most:
            stopped = exceeded("output-limit", f"it wrote more than {most / 2**20:g} MiB")
    if stopped is not None:
        return Outcome((stopped,), {}, {}, said)
    results.seek(0)
    values.seek(0)
    content = results.read()
    if not content:
        room = os.fstatvfs(values.fileno())
        if room.f_bavail * room.f_frsize < TRIED_BYTES:  # this machine's fault, not the submission's
            raise _unwritten(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
        ending = f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"
        last = said.strip().splitlines()[-1:] or ["without a word"]
        what = f"the process ended with {ending} and no report: {last[0]}"
        return Outcome((Finding(check="crash", what=what, remedy="let the code run to its end"),), {}, {}, said)
    try:
        reported = parse_model(content, Reported)
        given = safetensors.torch.load(values.read()) if _size(values) else {}
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        what = f"what the process left cannot be read: {type(error).__name__}"
        remedy = "leave the process's files and descriptors alone"
        return Outcome((Finding(check="unreadable-result", what=what, remedy=remedy),), {}, {}, said)
    return Outcome(reported.findings, reported.report, given, said)


def _unwritten(error: OSError | SafetensorError) -> UserError:
    """What is told where files of a process cannot be written, as on a full disk."""
    why = error.strerror if isinstance(error, OSError) else str(error)
    what = f"the files of a submission's process cannot be written ({why})"
    return UserError(f"{tempfile.gettempdir()}: {what}; make room there, or set TMPDIR to another place")


def _log(file: IO[bytes]) -> str:
    """The end of the log, as text in which every character shows."""
    file.seek(max(0, _size(file) - LOG_BYTES))
    return as_text(file.read(LOG_BYTES).decode("utf-8", "replace"), LOG_BYTES)


def _size(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size
