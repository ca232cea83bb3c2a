"""The bench on which speed is measured: the device, its peak so far, the time there is, and memory."""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from gcnnbench.device import peak_memory, reset_peak_memory, synchronise
from gcnnbench.perf.peak import Peak
from gcnnbench.perf.report import Comparison, compared
from gcnnbench.perf.timing import Timing, Work, interleaved

Prepare = Callable[[], Work]
"""Makes work that is ready to be timed."""


@dataclass(frozen=True)
class Bench:
    """Where and how long is measured.

    Args:
        device: where the networks are.
        seconds: about how long a comparison may take.
        peak: the fastest arithmetic that was seen; what is measured here is taken into account.
    """

    device: torch.device
    seconds: float
    peak: Peak

    def compare(
        self,
        section: str,
        title: str,
        work: Mapping[str, Work],
        *,
        reference: str,
        flops: float | None = None,
        memory: Mapping[str, Prepare] | None = None,
        missing: Mapping[str, str] | None = None,
        share: float = 1.0,
        images: int | None = None,
    ) -> Comparison:
        """Time candidates in turn.

        Args:
            section: where the comparison belongs.
            title: what work is done.
            work: the candidates.
            reference: the candidate whose time is 1.
            flops: useful operations of the work.
            memory: what makes the work of those anew whose high-water mark is taken, too.
            missing: candidates that cannot be measured, with the reason.
            share: of the time that a comparison may take.
            images: that the work goes through once.
        """
        timings = self.time(work, share)
        for name, timing in timings.items() if flops else ():
            self.peak.see(f"{name} in {section}: {title}", flops or 0.0, timing)
        return compared(
            section,
            title,
            timings,
            reference=reference,
            flops=flops,
            peak=self.peak.flops,
            memory={name: self.high_water(prepare) for name, prepare in memory.items()} if memory else None,
            missing=missing,
            images=images,
        )

    def time(self, work: Mapping[str, Work], share: float = 1.0) -> dict[str, Timing]:
        """Time candidates in turn; each ends when the device has done all that it was asked."""
        return interleaved({name: self._ended(done) for name, done in work.items()}, seconds=self.seconds * share)

    def high_water(self, prepare: Prepare) -> int:
        """Bytes at the high-water mark of work and of all that is made for it, above what was there before.

        A replayed graph allocates nothing: its memory is that of its recording, which belongs to the preparation.

        Args:
            prepare: makes the work anew.
        """
        gc.collect()
        _give_back()
        reset_peak_memory(self.device)
        before = peak_memory(self.device)
        self._ended(prepare())()
        return max(0, peak_memory(self.device) - before)

    def _ended(self, work: Work) -> Work:
        def ended() -> None:
            work()
            synchronise(self.device)

        return ended


def _give_back() -> None:
    """Let the C library give freed memory back to the system, where it is one that can be asked."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
