"""P4-ResNet44 of the CIFAR study with anti-aliased strides (Zhang 2019)."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.architectures.heads import coset_classifier
from gcnnbench.architectures.initialisation import sepgroupy
from gcnnbench.architectures.residual import residual_network
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.groups import P4


def build(
    *, size: int, channels: int, classes: int, widths: Sequence[int], blocks: Sequence[int], blur: int
) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), three stages of seven p4 blocks."""
    return residual_network(
        size=size,
        channels=channels,
        classes=classes,
        widths=widths,
        blocks=blocks,
        group=P4,
        head=coset_classifier,
        initialise=sepgroupy,
        blur=blur,
    )
