"""P4CNN on a torus with adaptive polyphase sampling: exact under circular shifts and quarter turns together."""

from __future__ import annotations

from gcnnbench.architectures.circular import circular_network
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.groups import P4
from gcnnbench.nn.polyphase import AdaptivePolyphaseSampling


def build(*, size: int, channels: int, classes: int, planes: int, dropout: float) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), for sizes that are multiples of four."""
    return circular_network(
        size=size,
        channels=channels,
        classes=classes,
        planes=planes,
        dropout=dropout,
        group=P4,
        halve=lambda: AdaptivePolyphaseSampling(P4),
    )
