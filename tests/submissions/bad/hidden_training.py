"""Trains itself inside forward, beside the steps that the suite counts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .honest import Honest


class SelfTaught(Honest):
    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.linear.weight *= 0.99
        return super().forward(images)


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return SelfTaught(channels, classes)
