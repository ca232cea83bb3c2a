"""Averages over the orbit of the image when it is scored, and trains as an ordinary network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .honest import Honest


class Averaging(Honest):
    def forward(self, images: Tensor) -> Tensor:
        if self.training:
            return super().forward(images)
        once = super().forward
        return torch.stack([once(images.rot90(turns, (2, 3))) for turns in range(4)]).mean(0)


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Averaging(channels, classes)
