"""Draws numbers in evaluation mode from a generator that the suite does not seed."""

from __future__ import annotations

import random

from torch import Tensor, nn

from .honest import Honest


class Random(Honest):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * (1 + random.SystemRandom().random())


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Random(channels, classes)
