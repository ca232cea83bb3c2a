"""Has a hidden layer that its card does not count."""

from __future__ import annotations

from torch import Tensor, nn

from .honest import Honest


class Larger(Honest):
    def __init__(self, channels: int, classes: int) -> None:
        super().__init__(channels, classes)
        self.more = nn.Linear(classes, classes)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.more(super().forward(images))
        return out


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Larger(channels, classes)
