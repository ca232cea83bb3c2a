"""Z2CNN of the MNIST study behind rotations whose width is learnt (Benton et al. 2020)."""

from __future__ import annotations

from gcnnbench.architectures.mnist_study import seven_convolutions
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.augerino import Augerino
from gcnnbench.nn.groups import TRIVIAL


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
    """(batch, channels, size, size) -> logits (batch, classes), a Z2CNN seen through a learnt width of rotations."""
    base = seven_convolutions(
        size=size, channels=channels, classes=classes, planes=planes, dropout=dropout, group=TRIVIAL
    )
    return Augerino(Network(base), width=width, reward=reward, copies=copies, black=black)
