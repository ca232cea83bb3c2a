"""The wide residual network 16-8 with C4-steerable convolutions of e2cnn (Weiler & Cesa 2019)."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.architectures.sequence import Network
from gcnnbench.architectures.wide import steerable_wide_resnet


def build(*, size: int, channels: int, classes: int, widths: Sequence[int], blocks: int, dropout: float) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), three stages of `blocks` wide C4 blocks."""
    return steerable_wide_resnet(
        order=4,
        kernel_size=3,
        size=size,
        channels=channels,
        classes=classes,
        widths=widths,
        blocks=blocks,
        dropout=dropout,
    )
