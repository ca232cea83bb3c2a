"""The peak rate of the device, against which layers are held: the fastest arithmetic that was measured, and which.

A product of matrices is not always what a processor does fastest: shapes matter, and blocked convolutions may beat all
of them. So the peak is the best of several of both, and of all that is measured after them: no share of it exceeds one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from gcnnbench.device import synchronise
from gcnnbench.perf.report import Comparison
from gcnnbench.perf.timing import Timing, interleaved

PRODUCTS = ((512, 512, 512), (1024, 1024, 1024), (2048, 2048, 2048), (4096, 1024, 256), (256, 1024, 4096))
"""Rows, inner length and columns of products of float32 matrices."""

CONVOLUTIONS = ((16, 64, 56), (32, 128, 28), (32, 256, 14))
"""Images, channels (in and out, which the libraries block) and height and width of 3×3 convolutions."""


@dataclass
class Peak:
    """The most useful operations in a second that were seen, two to a multiply-accumulate, and of what."""

    flops: float = 0.0
    name: str = ""

    def see(self, name: str, operations: float, timing: Timing) -> None:
        """Take the fastest round of some work into account."""
        if (flops := operations / min(timing.seconds)) > self.flops:
            self.flops, self.name = flops, name

    def shares(self, comparison: Comparison) -> Comparison:
        """The comparison with each candidate's share of this peak."""
        rows = (
            row.model_copy(update={"share_of_peak": row.flops / self.flops}) if row.flops and self.flops else row
            for row in comparison.rows
        )
        return comparison.model_copy(update={"rows": tuple(rows)})


def find_peak(device: torch.device, rounds: int = 5) -> Peak:
    """The best of the products and convolutions above, on the threads and in the mode now set.

    Args:
        device: where they are made.
        rounds: how often each is timed.
    """
    work: dict[str, tuple[float, Callable[[], object]]] = {}
    for rows, inner, columns in PRODUCTS:
        left, right = torch.rand(rows, inner, device=device), torch.rand(inner, columns, device=device)
        work[f"sgemm {rows}×{inner}×{columns}"] = (2.0 * rows * inner * columns, _product(left, right, device))
    for images, channels, size in CONVOLUTIONS:
        features = torch.rand(images, channels, size, size, device=device).to(memory_format=torch.channels_last)
        weight = torch.rand(channels, channels, 3, 3, device=device).to(memory_format=torch.channels_last)
        name = f"3×3 convolution of {images}×{channels}×{size}×{size}"
        work[name] = (18.0 * images * channels**2 * size**2, _convolution(features, weight, device))
    timings = interleaved({name: done for name, (_, done) in work.items()}, seconds=0.0, least=rounds)
    peak = Peak()
    for name, (operations, _) in work.items():
        peak.see(name, operations, timings[name])
    return peak


def _product(left: torch.Tensor, right: torch.Tensor, device: torch.device) -> Callable[[], object]:
    def product() -> None:
        torch.mm(left, right)
        synchronise(device)

    return product


def _convolution(features: torch.Tensor, weight: torch.Tensor, device: torch.device) -> Callable[[], object]:
    def convolution() -> None:
        F.conv2d(features, weight, padding=1)
        synchronise(device)

    return convolution
