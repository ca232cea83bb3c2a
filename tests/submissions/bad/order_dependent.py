"""Lets an image's place in the batch move its logits, where the data stand sorted by class."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .honest import Honest


class Placed(Honest):
    def forward(self, images: Tensor) -> Tensor:
        place = torch.arange(len(images), device=images.device)
        return super().forward(images) + (place[:, None] / 100 if len(images) > 1 else 0)


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Placed(channels, classes)
