"""p4-All-CNN-C of Cohen & Welling 2016."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.architectures.allcnn import all_convolutional
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.groups import P4


def build(
    *, size: int, channels: int, classes: int, widths: Sequence[int], input_dropout: float, dropout: float, std: float
) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), nine p4 convolutions."""
    return all_convolutional(
        size=size,
        channels=channels,
        classes=classes,
        widths=widths,
        dropout=(input_dropout, dropout),
        std=std,
        group=P4,
    )
