"""P4CNN on a torus with max-pools on a fixed grid: exact under quarter turns, approximate under circular shifts."""

from __future__ import annotations

from gcnnbench.architectures.circular import circular_network
from gcnnbench.architectures.sequence import Network, max_pool
from gcnnbench.nn.groups import P4


def build(*, size: int, channels: int, classes: int, planes: int, dropout: float) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), for sizes that are multiples of four."""
    return circular_network(
        size=size,
        channels=channels,
        classes=classes,
        planes=planes,
        dropout=dropout,
        group=P4,
        halve=lambda: max_pool(2, group=P4),
    )
