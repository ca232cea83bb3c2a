"""Z2CNN of the MNIST study, trained on images turned around the circle."""

from __future__ import annotations

from gcnnbench.architectures.mnist_study import seven_convolutions
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.augerino import TurnedCopies
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
    copies: int,
) -> TurnedCopies:
    """(batch, channels, size, size) -> logits (batch, classes), a Z2CNN that trains on turned images."""
    base = seven_convolutions(
        size=size, channels=channels, classes=classes, planes=planes, dropout=dropout, group=TRIVIAL
    )
    return TurnedCopies(Network(base), width=width, copies=copies, black=black)
