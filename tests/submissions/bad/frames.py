"""Takes further steps of the optimiser, which it finds in the frames of its callers."""

from __future__ import annotations

import sys
from types import FrameType

from torch import Tensor, nn

from .honest import Honest


class Framed(Honest):
    def forward(self, images: Tensor) -> Tensor:
        frame: FrameType | None = sys._getframe()
        while frame is not None:
            optimiser = frame.f_locals.get("optimiser")
            if optimiser is not None and self.training:
                optimiser.step()
            frame = frame.f_back
        return super().forward(images)


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Framed(channels, classes)
