"""Has a parameter that no gradient reaches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .honest import Honest


class Idle(Honest):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, classes)
        self.conv.bias = None
        self.idle = nn.Parameter(torch.zeros(6))

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images)


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Idle(channels, classes)
