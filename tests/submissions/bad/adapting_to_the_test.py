"""Goes on learning its normalisation from the images it is scored on."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .honest import Honest


class Adapting(Honest):
    mean: Tensor

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, classes)
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            self.mean += 0.1 * (images.mean() - self.mean)
        return super().forward(images - self.mean)


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Adapting(channels, classes)
