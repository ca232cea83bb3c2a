"""Normalises by the statistics of the test batch."""

from __future__ import annotations

from torch import Tensor, nn

from .honest import Honest


class Leaking(Honest):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images - images.mean(0))


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Leaking(channels, classes)
