"""Tries every door of its container, prints what became of it, and leaves."""

from __future__ import annotations

import ctypes
import importlib.util
import json
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

NEW_USER_NAMESPACE = 0x10000000
LIMITED = (resource.RLIMIT_CPU, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_NPROC)
here = Path(__file__).parent
hints = json.loads((here / "hints.json").read_text())
sklearn = Path(*(importlib.util.find_spec("sklearn") or sys.exit()).submodule_search_locations or ())
libc = ctypes.CDLL(None, use_errno=True)


def tried(attempt: Callable[[], Any]) -> str:
    try:
        return f"done: {attempt()}"
    except BaseException as error:
        return type(error).__name__


def connect(address: tuple[str, int]) -> str:
    with socket.socket() as one:
        one.settimeout(2)
        one.connect(address)
    return "connected"


def fill(folder: Path) -> int:
    """In files that are each smaller than any may be."""
    for number in range(64):
        (folder / str(number)).write_bytes(b"x" * 2**20)
    return 64


def system_call(name: str, *arguments: int) -> int:
    if getattr(libc, name)(*arguments):
        raise OSError(ctypes.get_errno(), name)
    return 0


def start_one_too_many() -> int:
    """With room for one process more, two cannot be started: the kernel counts."""
    allowed = len([*Path("/proc/self/task").iterdir()]) + 2
    resource.setrlimit(resource.RLIMIT_NPROC, (allowed, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
    return len([subprocess.Popen(["sleep", hints["nap"]]) for _ in range(8)])


attempts: dict[str, Callable[[], Any]] = {
    "connect to the host": lambda: connect(("127.0.0.1", hints["port"])),
    "connect to the world": lambda: connect(("1.1.1.1", 53)),
    "read the host's secret": lambda: Path(hints["secret"]).read_text(),
    "list the host's folder": lambda: [*Path(hints["secret"]).parent.iterdir()],
    "read the passwords": lambda: Path("/etc/passwd").read_text(),
    "read the project": lambda: Path(hints["project"]).read_text(),
    "read the digits and their labels": lambda: next((sklearn / "datasets/data").iterdir()),
    "write beside itself": lambda: (here / "mark").write_text("x"),
    "write over itself": lambda: Path(__file__).write_text("x"),
    "write into the interpreter": lambda: (Path(sys.prefix) / "mark").write_text("x"),
    "write into the suite": lambda: (Path(hints["suite"]) / "mark").write_text("x"),
    "write to /": lambda: Path("/mark").write_text("x"),
    "write to /tmp": lambda: Path("/tmp/mark").write_text("x"),
    "write to shared memory": lambda: Path("/dev/shm/mark").write_text("x"),
    "signal the host": lambda: os.kill(hints["pid"], 0),
    "become root": lambda: os.setuid(0),
    "raise a limit": lambda: resource.setrlimit(resource.RLIMIT_NPROC, (10**6, 10**6)),
    "make a user namespace": lambda: system_call("unshare", NEW_USER_NAMESPACE),
    "make memory that no limit counts": lambda: os.memfd_create("x"),
    "write to the scratch folder": lambda: (Path(os.environ["TMPDIR"]) / "note").write_text("x"),
    "fill the scratch folder": lambda: fill(Path(os.environ["TMPDIR"])),
    "leave an orphan": lambda: subprocess.Popen(["sleep", hints["nap"]], start_new_session=True).poll(),
    "start too many processes": start_one_too_many,
}
found = {name: tried(attempt) for name, attempt in attempts.items()}
found["user"] = str(os.getuid())
found["environment"] = " ".join(sorted(os.environ))
found["interfaces"] = " ".join(
    line.partition(":")[0].strip() for line in Path("/proc/net/dev").read_text().splitlines() if ":" in line
)
found["limits"] = " ".join(str(resource.getrlimit(which)[1]) for which in LIMITED)
found["capabilities"] = next(line for line in Path("/proc/self/status").read_text().splitlines() if "CapEff" in line)
os.write(1, json.dumps(found).encode())
os._exit(0)
