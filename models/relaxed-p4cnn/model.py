"""P4CNN of the MNIST study with relaxed group convolutions (Wang, Walters & Yu 2022)."""

from __future__ import annotations

from functools import partial

from gcnnbench.architectures.mnist_study import p4cnn
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.groups import P4
from gcnnbench.nn.relaxed import RelaxedGroupConv


def build(
    *, size: int, channels: int, classes: int, planes: int, dropout: float, banks: int, strength: float
) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), seven relaxed p4 convolutions of `planes` channels."""
    conv = partial(RelaxedGroupConv, banks=banks, strength=strength)
    return p4cnn(conv, group=P4, size=size, channels=channels, classes=classes, planes=planes, dropout=dropout)
