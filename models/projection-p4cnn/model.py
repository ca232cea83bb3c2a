"""P4CNN of the MNIST study whose free filter banks are drawn to symmetry by a penalty (Berndt & Stühmer 2026)."""

from __future__ import annotations

from functools import partial

from gcnnbench.architectures.mnist_study import p4cnn
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.groups import P4
from gcnnbench.nn.projected import ProjectedConv


def build(*, size: int, channels: int, classes: int, planes: int, dropout: float, strength: float) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), seven free convolutions of `planes` channels."""
    conv = partial(ProjectedConv, strength=strength)
    return p4cnn(conv, group=P4, size=size, channels=channels, classes=classes, planes=planes, dropout=dropout)
