"""P4CNN of the MNIST study with residual pathway priors (Finzi, Benton & Wilson 2021)."""

from __future__ import annotations

from functools import partial

from gcnnbench.architectures.mnist_study import p4cnn
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.groups import P4
from gcnnbench.nn.pathway import ResidualPathwayConv


def build(
    *,
    size: int,
    channels: int,
    classes: int,
    planes: int,
    dropout: float,
    equivariant_strength: float,
    free_strength: float,
    scale: float,
) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), seven convolutions of two paths each."""
    conv = partial(
        ResidualPathwayConv, equivariant_strength=equivariant_strength, free_strength=free_strength, scale=scale
    )
    return p4cnn(conv, group=P4, size=size, channels=channels, classes=classes, planes=planes, dropout=dropout)
