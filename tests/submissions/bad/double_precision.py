"""Gives logits in another arithmetic than the one it is given."""

from __future__ import annotations

from torch import Tensor, nn

from .honest import Honest


class Double(Honest):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images).double()


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Double(channels, classes)
