"""A small honest network, which the bad submissions of this folder spoil each in one way."""

from __future__ import annotations

from torch import Tensor, nn


class Honest(nn.Module):
    """(batch, channels, size, size) -> logits (batch, classes): one convolution, mean over the image, linear."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, 6, 3, padding=1)
        self.linear = nn.Linear(6, classes)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.linear(self.conv(images).relu().mean((2, 3)))
        return out


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    """The network at any size."""
    del size
    return Honest(channels, classes)
