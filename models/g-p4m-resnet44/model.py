"""g-p4m-ResNet44 of Lengyel & van Gemert 2021."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.nn.groups import P4M
from gcnnbench.nn.heads import flattened_classifier
from gcnnbench.nn.initialisation import sepgroupy
from gcnnbench.nn.network import Network
from gcnnbench.nn.residual import residual_network, separable_convolution


def build(*, size: int, channels: int, classes: int, widths: Sequence[int], blocks: Sequence[int]) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), three stages of seven p4m blocks."""
    return residual_network(
        size=size,
        channels=channels,
        classes=classes,
        widths=widths,
        blocks=blocks,
        group=P4M,
        head=flattened_classifier,
        initialise=sepgroupy,
        conv=separable_convolution(3, group=P4M, separable="g"),
    )
