"""The network of airbench, narrowed to the parameters of p4-air, with a norm behind its stem."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.architectures.air import air_network
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.groups import TRIVIAL


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
    """(batch, channels, size, size) -> logits (batch, classes), a normed stem and six ordinary convolutions."""
    return air_network(
        size=size,
        channels=channels,
        classes=classes,
        stem=stem,
        widths=widths,
        norm_eps=norm_eps,
        norm_momentum=norm_momentum,
        logit_scale=logit_scale,
        group=TRIVIAL,
        stem_norm=True,
    )
