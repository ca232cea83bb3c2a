"""Gives NaN, which argmax takes for the largest number of all."""

from __future__ import annotations

from torch import Tensor, nn

from .honest import Honest


class Nan(Honest):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * float("nan")


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Nan(channels, classes)
