"""P4M-DenseNet for PCam (Veeling et al. 2018)."""

from __future__ import annotations

from gcnnbench.architectures.dense import dense_network
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.groups import P4M


def build(*, size: int, channels: int, classes: int, growth: int, blocks: int, compression: float) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), dense blocks of one p4m convolution."""
    return dense_network(
        size=size,
        channels=channels,
        classes=classes,
        growth=growth,
        blocks=blocks,
        compression=compression,
        group=P4M,
    )
