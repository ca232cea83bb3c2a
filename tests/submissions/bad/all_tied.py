"""Gives several classes the same largest logit, and leaves the choice to argmax."""

from __future__ import annotations

from torch import Tensor, nn

from .honest import Honest


class Tied(Honest):
    def forward(self, images: Tensor) -> Tensor:
        out = super().forward(images)
        return out.minimum(out.topk(3).values[:, 2:])


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Tied(channels, classes)
