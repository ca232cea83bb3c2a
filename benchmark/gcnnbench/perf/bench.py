"""The bench on which speed is measured: the device, the machine's peak, the time there is, and memory."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Mapping
from dataclasses import dataclass

import torch

from gcnnbench.device import peak_memory, reset_peak_memory, synchronise
from gcnnbench.perf.report import Comparison, compared
from gcnnbench.perf.timing import Timing, Work, interleaved

SGEMM = 2048


@dataclass(frozen=True)
class Bench:
    """Where and how long is measured.

    Args:
        device: where the networks are.
        seconds: about how long a comparison may take.
        peak: the device's FLOP/s, as `sgemm_peak` found it.
    """

    device: torch.device
    seconds: float
    peak: float

    def compare(
        self,
        section: str,
        title: str,
        work: Mapping[str, Work],
        *,
        reference: str,
        flops: float | None = None,
        memory: bool = False,
        missing: Mapping[str, str] | None = None,
        share: float = 1.0,
    ) -> Comparison:
        """Time candidates in turn.

        Args:
            section: where the comparison belongs.
            title: what work is done.
            work: the candidates.
            reference: the candidate whose time is 1.
            flops: useful operations of the work.
            memory: whether each one's high-water mark is taken, too.
            missing: candidates that cannot be measured, with the reason.
            share: of the time that a comparison may take.
        """
        timings = self.time(work, share)
        return compared(
            section,
            title,
            timings,
            reference=reference,
            flops=flops,
            peak=self.peak,
            memory={name: self.high_water(done) for name, done in work.items()} if memory else None,
            missing=missing,
        )

    def time(self, work: Mapping[str, Work], share: float = 1.0) -> dict[str, Timing]:
        """Time candidates in turn; each ends when the device has done all that it was asked."""
        return interleaved({name: self._ended(done) for name, done in work.items()}, seconds=self.seconds * share)

    def high_water(self, work: Work) -> int:
        """Bytes at the high-water mark of one run, above what was there before."""
        gc.collect()
        _give_back()
        reset_peak_memory(self.device)
        before = peak_memory(self.device)
        self._ended(work)()
        return max(0, peak_memory(self.device) - before)

    def _ended(self, work: Work) -> Work:
        def ended() -> None:
            work()
            synchronise(self.device)

        return ended


def sgemm_peak(device: torch.device) -> float:
    """FLOP/s of the fastest of ten products of float32 matrices 2048×2048, on the threads and in the mode now set."""
    left, right = (torch.rand(SGEMM, SGEMM, device=device) for _ in range(2))

    def product() -> None:
        left @ right
        synchronise(device)

    timing = interleaved({"sgemm": product}, seconds=0.0, least=10)["sgemm"]
    return 2 * SGEMM**3 / min(timing.seconds)


def _give_back() -> None:
    """Let the C library give freed memory back to the system, where it is one that can be asked."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
