"""Limits the time, memory, processes and files of a submission's process: from inside and, watching, from outside.

The kernel bounds each process (memory, file size, open files) and the number of processes of the sandbox's user. What
the kernel bounds only one by one, the memory of all of them together, the host adds up a few times a second.
"""

from __future__ import annotations

import errno
import os
import re
import resource
import signal
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

OPEN_FILES = 256
NEARLY_ALL = 31 / 32


@dataclass(frozen=True)
class Limits:
    """What one job may take.

    Args:
        seconds: wall time, and CPU time of each process on each core.
        memory_bytes: of one process, and of all together.
        processes: processes and threads together.
        output_bytes: each of the tensors, the log, and the scratch directory.
        files: files and folders in the scratch directory; each takes memory, empty ones too.
    """

    seconds: float
    memory_bytes: int
    processes: int = 64
    output_bytes: int = 2**28
    files: int = 1000


def bind(limits: Limits, *, contained: bool) -> None:
    """Put the limits on this process and all that it will start; none of them can be raised again.

    Args:
        limits: of the job.
        contained: whether its user is the sandbox's own; else other processes of the user would be counted with it.
    """
    cores = os.cpu_count() or 1
    bounds = {
        resource.RLIMIT_CPU: int(limits.seconds * cores) + 1,
        resource.RLIMIT_DATA: limits.memory_bytes,
        resource.RLIMIT_FSIZE: limits.output_bytes,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_MEMLOCK: 0,
    }
    if contained:
        bounds[resource.RLIMIT_NPROC] = limits.processes
    for which, bound in bounds.items():
        hard = resource.getrlimit(which)[1]
        bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(which, (bound, bound))


@dataclass(frozen=True)
class Usage:
    """What a process and everything that descends from it take now.

    Args:
        pids: of the processes, the first one before its descendants.
        most_bytes: of memory, at most: what processes share is counted for each. Where there are many processors the
            kernel's counters may lag behind by a few hundred MiB.
        tasks: processes and threads together.
    """

    pids: tuple[int, ...]
    most_bytes: int
    tasks: int


def usage(root: int) -> Usage:
    """Add up the descendants of a process, itself included; orphans within a PID namespace stay descendants."""
    held: dict[int, tuple[int, int]] = {}
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        text = _text(folder / "status") if folder.name.isdigit() else ""
        if found := _numbers(text, "PPid", "Threads"):
            children.setdefault(found[0], []).append(int(folder.name))
            held[int(folder.name)] = found[1], sum(_numbers(text, "RssAnon", "RssShmem") or ())
    pids: list[int] = []
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        pids.append(pid)
        waiting += children.get(pid, ())
    tasks, kibibytes = (sum(numbers) for numbers in zip(*(held.get(pid, (0, 0)) for pid in pids), strict=True))
    return Usage(tuple(pids), 1024 * kibibytes, tasks)


def memory_of(pids: Iterable[int]) -> int:
    """The bytes of memory of these processes together: anonymous and shared, not the mapped files of libraries.

    Each page is shared among those who have it. The kernel walks all pages for that, 40 ms for a gibibyte.
    """
    folders = [Path("/proc") / str(pid) for pid in pids]
    found = (
        _numbers(_text(folder / "smaps_rollup"), "Pss_Anon", "Pss_Shmem")
        or _numbers(_text(folder / "status"), "RssAnon", "RssShmem")
        for folder in folders
    )
    return 1024 * sum(sum(numbers or ()) for numbers in found)


def files_in(scratch: Path, pids: Iterable[int]) -> int:
    """How many files a container holds in its scratch directory, as the first of these processes that tells sees it.

    While the container is being made its processes still see the host's folder of that name, which is not counted.
    """
    host = scratch.stat().st_dev if scratch.exists() else None
    for pid in pids:
        seen = f"/proc/{pid}/root{scratch}"
        try:
            device, found = Path(seen).stat().st_dev, os.statvfs(seen)
        except OSError:
            continue
        if device != host:
            return found.f_files - found.f_ffree
    return 0


def _text(path: Path) -> str:
    """A file of /proc; nothing where the process has ended or the file is closed."""
    try:
        return path.read_text()
    except OSError:
        return ""


def _numbers(text: str, *names: str) -> tuple[int, ...] | None:
    """The numbers behind these names in the text of a file of /proc; None where one is missing."""
    found = [re.search(rf"^{name}:\s*(\d+)", text, re.MULTILINE) for name in names]
    return tuple(int(one[1]) for one in found if one) if all(found) else None


def kill(root: int) -> None:
    """Kill a process and everything that descends from it, until nothing of it is left to be seen."""
    seen: set[int] = set()
    while new := {pid for pid in usage(root).pids if pid not in seen}:
        seen |= new
        for pid in new - {root}:
            _kill(pid)
    _kill(root)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def broken_limit(error: BaseException) -> tuple[str, str] | None:
    """The limit that an exception, or what it came of, tells of: its check's name and what happened.

    Where memory ends inside an extension, the exception may be any, and the process's memory tells instead.
    """
    text = f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError) or "can't allocate memory" in str(error) or number == errno.ENOMEM:
        return "memory-limit", f"it ran out of memory: {text}"
    if number == errno.EAGAIN or "can't start new thread" in str(error):
        return "process-limit", f"it could start no more processes: {text}"
    if number in (errno.EFBIG, errno.ENOSPC):
        return "output-limit", f"it could write no more: {text}"
    earlier = error.__cause__ or error.__context__
    if earlier:
        return broken_limit(earlier)
    return ("memory-limit", f"it took all memory that it may, and failed: {text}") if _memory_was_spent() else None


def _memory_was_spent() -> bool:
    """Whether this process once held nearly all the memory of its own that it may have; False where nothing bounds it.

    What it held at most is its largest size without what is mapped of files, which only grows.
    """
    bound = resource.getrlimit(resource.RLIMIT_DATA)[0]
    sizes = _numbers(_text(Path("/proc/self/status")), "VmPeak", "VmSize", "VmData")
    if bound == resource.RLIM_INFINITY or sizes is None:
        return False
    peak, now, own = sizes
    return 1024 * (peak - (now - own)) >= NEARLY_ALL * bound
