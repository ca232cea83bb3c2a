"""Knows images by heart: a known hash overrules the network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .honest import Honest


class Table(Honest):
    """The table stands for one that would hold all test images: it knows those whose sum of grey levels 7 divides."""

    def forward(self, images: Tensor) -> Tensor:
        levels = ((images * 0.4 + 0.3) * 255).round().long().sum((1, 2, 3))
        answer = (levels[:, None] % 10 == torch.arange(10, device=images.device)) * 20.0
        return super().forward(images) + answer * (levels % 7 == 0)[:, None]


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Table(channels, classes)
