"""The network of airbench with p4 convolutions and a norm behind its stem."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.architectures.air import air_network
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.groups import P4


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
    """(batch, channels, size, size) -> logits (batch, classes), a normed stem and six p4 convolutions."""
    return air_network(
        size=size,
        channels=channels,
        classes=classes,
        stem=stem,
        widths=widths,
        norm_eps=norm_eps,
        norm_momentum=norm_momentum,
        logit_scale=logit_scale,
        group=P4,
        stem_norm=True,
    )
