"""The plain twin of the P4CNN of the MNIST study: the same features, filter banks that are free in every entry."""

from __future__ import annotations

from gcnnbench.architectures.mnist_study import p4cnn
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.groups import P4
from gcnnbench.nn.projected import FreeConv


def build(*, size: int, channels: int, classes: int, planes: int, dropout: float) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), seven free convolutions of `planes` channels."""
    return p4cnn(FreeConv, group=P4, size=size, channels=channels, classes=classes, planes=planes, dropout=dropout)
