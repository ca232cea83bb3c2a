"""P4CNN of the MNIST study behind rotations whose width is learnt (Benton et al. 2020)."""

from __future__ import annotations

from gcnnbench.architectures.mnist_study import p4cnn
from gcnnbench.nn.augerino import Augerino
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import P4


def build(
    *,
    size: int,
    channels: int,
    classes: int,
    black: tuple[float, ...],
    planes: int,
    dropout: float,
    width: float,
    reward: float,
    copies: int,
) -> Augerino:
    """(batch, channels, size, size) -> logits (batch, classes), a P4CNN seen through a learnt width of rotations."""
    base = p4cnn(GroupConv, group=P4, size=size, channels=channels, classes=classes, planes=planes, dropout=dropout)
    return Augerino(base, width=width, reward=reward, copies=copies, black=black)
