"""Keeps what it saw in an attribute, where no state_dict shows it."""

from __future__ import annotations

from torch import Tensor, nn

from .honest import Honest


class Remembering(Honest):
    last: Tensor | None = None

    def forward(self, images: Tensor) -> Tensor:
        out = super().forward(images)
        if not self.training:
            before, self.last = self.last, images.mean()
            out = out if before is None else out + before
        return out


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Remembering(channels, classes)
