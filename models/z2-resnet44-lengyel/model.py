"""ResNet44 of Lengyel & van Gemert 2021."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.architectures.heads import flattened_classifier
from gcnnbench.architectures.initialisation import sepgroupy
from gcnnbench.architectures.residual import residual_network
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.groups import TRIVIAL


def build(*, size: int, channels: int, classes: int, widths: Sequence[int], blocks: Sequence[int]) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), three stages of seven ordinary blocks."""
    return residual_network(
        size=size,
        channels=channels,
        classes=classes,
        widths=widths,
        blocks=blocks,
        group=TRIVIAL,
        head=flattened_classifier,
        initialise=sepgroupy,
    )
