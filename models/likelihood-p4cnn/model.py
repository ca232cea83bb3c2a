"""P4CNN of the MNIST study with a learnt likelihood over the group (Veefkind & Cesa 2024)."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from gcnnbench.architectures.initialisation import sepgroupy
from gcnnbench.architectures.mnist_study import DEPTHS, seven_convolutions
from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.groups import P4
from gcnnbench.nn.likelihood import LikelihoodConv, likelihood_penalty


class LikelihoodNetwork(Network):
    """A network whose layers' likelihoods are aligned, and held to the one before.

    Args:
        layers: by name, in order.
        alignment: the factor of the alignment loss.
        smoothness: the factor of the divergences.
    """

    def __init__(self, layers: Mapping[str, nn.Module], alignment: float, smoothness: float) -> None:
        super().__init__(layers, depths=DEPTHS)
        self.alignment, self.smoothness = alignment, smoothness

    def penalty(self) -> Tensor:
        """That of the likelihood layers, in the order in which they run."""
        layers = [layer for layer in self if isinstance(layer, LikelihoodConv)]
        return likelihood_penalty(layers, self.alignment, self.smoothness)


def build(
    *, size: int, channels: int, classes: int, planes: int, dropout: float, alignment: float, smoothness: float
) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), seven averaged convolutions of `planes` channels."""
    layers = seven_convolutions(
        size=size,
        channels=channels,
        classes=classes,
        planes=planes,
        dropout=dropout,
        group=P4,
        conv=LikelihoodConv,
    )
    return LikelihoodNetwork(layers, alignment, smoothness).apply(sepgroupy)
