"""Centres the images that it is given in place, so that whoever shows them again shows others."""

from __future__ import annotations

from torch import Tensor, nn

from .honest import Honest


class InPlace(Honest):
    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images.sub_(0.25))


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return InPlace(channels, classes)
