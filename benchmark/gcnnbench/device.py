"""The device a cell runs on: choosing it, its numeric mode, its memory and its name."""

from __future__ import annotations

import ctypes
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from gcnnbench.errors import UserError
from gcnnbench.float32_precision import FULL, TF32, Float32Precision

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""The options of glibc's `mallopt`, from its malloc.h."""

DETERMINISTIC: Any = torch.utils.deterministic
"""PyTorch's module, whose one setting is a property that type checkers do not see."""

NumericMode = Literal["fp32", "tf32", "bf16"]

CPU_SCORING_BATCH = 64
"""Images that a CPU scores at once; more only leave its cache."""
WIDE_SCORING_BATCH = 128
"""The fewest images that a GPU, or a stack of seeds on any device, scores at once."""
GPU_SCORING_PIXELS = 2048 * 28**2
"""Pixels that a GPU scores at once; it idles on fewer, and memory bounds them for large images."""

CPUINFO = Path("/proc/cpuinfo")
"""Where Linux tells of its processors."""


def choose(name: str) -> torch.device:
    """The device of that name; `auto` takes CUDA, then MPS, then the CPU.

    Raises:
        UserError: the name is unknown or this machine has no such device.
    """
    available = _available()
    if name == "auto":
        return torch.device(next(device for device, there in available.items() if there))
    if name not in available:
        raise UserError(f"unknown device {name!r}: one of auto, cpu, cuda, mps")
    if not available[name]:
        there = ", ".join(device for device, is_there in available.items() if is_there)
        raise UserError(f"device {name} is not available here; this machine has: {there}")
    return torch.device(name)


def is_here(name: str) -> bool:
    """Whether this machine has a device of that name."""
    return _available().get(name, False)


def _available() -> dict[str, bool]:
    return {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}


def describe(device: torch.device) -> str:
    """The hardware's name, as a table shows it; what bears one name gives the same bits.

    Clouds sell several generations of a processor under one name, such as `AMD EPYC`, and libraries sum in another
    order on each. So the name of a processor goes on with what tells them apart: family, model and stepping, where the
    system says so, and the instructions that torch uses.
    """
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    known = _processor()
    name = known.get("model name") or platform.processor() or platform.machine()
    told = [f"{key.removeprefix('cpu ')} {known[key]}" for key in ("cpu family", "model", "stepping") if key in known]
    return f"{name} ({', '.join([*told, torch.backends.cpu.get_cpu_capability()])}; {os.cpu_count()} cores)"


def _processor() -> dict[str, str]:
    """What Linux says of the first processor; nothing elsewhere."""
    first = CPUINFO.read_text().partition("\n\n")[0] if CPUINFO.exists() else ""
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}


def scoring_batch(device: torch.device, size: int) -> int:
    """How many images of size × size a network scores at once, where nothing is trained."""
    if device.type == "cpu":
        return CPU_SCORING_BATCH
    return max(WIDE_SCORING_BATCH, GPU_SCORING_PIXELS // size**2)


class Settings(NamedTuple):
    """What `arithmetic` sets for a time: threads, float32 products, determinism, and autocast of a kind of device."""

    threads: int
    precision: Float32Precision
    benchmark: bool
    deterministic: bool
    only_warns: bool
    fills_new_memory: bool
    kind: str
    autocast: bool
    autocast_to: torch.dtype
    autocast_keeps: bool

    @classmethod
    def now(cls, kind: str) -> Settings:
        """Those that hold; autocast is one of each kind of device."""
        return cls(
            torch.get_num_threads(),
            Float32Precision.now(),
            torch.backends.cudnn.benchmark,
            torch.are_deterministic_algorithms_enabled(),
            torch.is_deterministic_algorithms_warn_only_enabled(),
            DETERMINISTIC.fill_uninitialized_memory,
            kind,
            torch.is_autocast_enabled(kind),
            torch.get_autocast_dtype(kind),
            torch.is_autocast_cache_enabled(),
        )

    def make(self) -> None:
        """Let these hold."""
        torch.set_num_threads(self.threads)
        self.precision.make()
        torch.backends.cudnn.benchmark = self.benchmark
        torch.use_deterministic_algorithms(self.deterministic, warn_only=self.only_warns)
        DETERMINISTIC.fill_uninitialized_memory = self.fills_new_memory
        torch.set_autocast_enabled(self.kind, self.autocast)
        torch.set_autocast_dtype(self.kind, self.autocast_to)
        torch.set_autocast_cache_enabled(self.autocast_keeps)


@contextmanager
def arithmetic(device: torch.device, mode: NumericMode, threads: int) -> Iterator[None]:
    """Run with this numeric mode and thread count, deterministic where the device needs asking, and restore all of it.

    `fp32` switches TF32 off everywhere; `tf32` allows it; `bf16` runs the forward pass under autocast.
    """
    before = Settings.now(device.type)
    try:
        torch.set_num_threads(threads)
        (TF32 if mode == "tf32" else FULL).make()
        torch.backends.cudnn.benchmark = False
        if device.type == "cuda":
            # else cuBLAS may sum in any order, and torch refuses every product; processes started from here inherit it
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.use_deterministic_algorithms(True)
            # else it writes NaN into every new tensor first: a seventh of a P4CNN's training step on an H200, measured
            DETERMINISTIC.fill_uninitialized_memory = False
        # its cache would hold the weights of the first step for as long as this mode lasts: an epoch of training
        with torch.autocast(device.type, torch.bfloat16, enabled=mode == "bf16", cache_enabled=False):
            yield
    finally:
        before.make()


@contextmanager
def seeded(device: torch.device, seed: int) -> Iterator[None]:
    """Seed torch's own generators, which networks draw from, and give them back as they were."""
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield


def generator_of(device: torch.device) -> torch.Generator:
    """torch's own generator of a CPU or CUDA device, which networks there draw from."""
    if device.type == "cuda":
        return torch.cuda.default_generators[torch.cuda.current_device() if device.index is None else device.index]
    return torch.default_generator


def send(values: Tensor, device: torch.device) -> Tensor:
    """Values of the host on the device; on CUDA through pinned memory, so that the host does not wait for the device.

    A plain copy waits until the device has done all that is queued before it, and so costs every step the time in which
    the host would have queued the next one.

    Args:
        values: on the CPU.
        device: where they are wanted.

    Returns:
        The same values; themselves where they are there already.
    """
    if device.type == "cuda":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, where the C library is glibc; no number depends on it.

    glibc maps every large block anew and gives it back when freed. A training step on a CPU then has its features
    cleared and mapped page by page in each step: a seventh of the time of a P4CNN's, measured.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        for option, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, 2**28)):
            libc.mallopt(option, value)


def reset_peak_memory(device: torch.device) -> None:
    """Start a new high-water mark, where the system lets a process do so."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")


def peak_memory(device: torch.device) -> int:
    """Bytes at the high-water mark: of the device's allocator on CUDA, of the process elsewhere."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():
        found = re.search(r"^VmHWM:\s*(\d+) kB$", status.read_text(), re.MULTILINE)
        if found:
            return int(found[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def free_memory(device: torch.device) -> int:
    """Bytes that can still be had there; where the system does not say, as many as anybody will ask for."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    meminfo = Path("/proc/meminfo")
    found = re.search(r"^MemAvailable:\s*(\d+) kB$", meminfo.read_text(), re.MULTILINE) if meminfo.exists() else None
    return int(found[1]) * 1024 if found else 1 << 62


def synchronise(device: torch.device) -> None:
    """Wait until the device has done what was asked of it, so that a clock reads true."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
