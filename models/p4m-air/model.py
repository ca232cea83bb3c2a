"""The network of airbench with p4m convolutions, half as wide."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.architectures.air import air_network
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.groups import P4M


def build(
    *,
    size: int,
    channels: int,
    classes: int,
    stem: int,
    widths: Sequence[int],
    norm_eps: float,
    norm_momentum: float,
    logit_scale: float,
) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), a stem and six p4m convolutions."""
    return air_network(
        size=size,
        channels=channels,
        classes=classes,
        stem=stem,
        widths=widths,
        norm_eps=norm_eps,
        norm_momentum=norm_momentum,
        logit_scale=logit_scale,
        group=P4M,
    )
