"""Moves its parameters in forward, beside the steps that the suite counts, but not while it is looked at."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .honest import Honest


class Moving(Honest):
    passes = 0

    def forward(self, images: Tensor) -> Tensor:
        Moving.passes += 1
        if self.training and Moving.passes > 40:
            with torch.no_grad():
                self.linear.weight.mul_(1.01)
        return super().forward(images)


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Moving(channels, classes)
