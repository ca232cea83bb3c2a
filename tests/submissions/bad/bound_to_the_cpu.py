"""Makes a tensor in forward that stays on the CPU whatever the device."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .honest import Honest


class Bound(Honest):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images * torch.full((1, 1, 1, 1), 0.5))


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Bound(channels, classes)
