"""gc-P4CNN for rotated MNIST (Lengyel & van Gemert 2021)."""

from __future__ import annotations

from gcnnbench.architectures.initialisation import sepgroupy
from gcnnbench.architectures.rotmnist import DEPTHS, separable_block, six_valid_convolutions
from gcnnbench.architectures.sequence import Network, classifier, conv_block, max_pool, require_size
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.layers import Layers


def build(*, size: int, channels: int, classes: int, planes: int) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), a lifting and six gc-separable p4 convolutions."""
    require_size(size, 28)

    def block(number: int, in_channels: int) -> Layers:
        if number == 1:
            return conv_block(1, in_channels, planes, group=P4, in_group=TRIVIAL, padding=0)
        return separable_block(number, in_channels, planes, group=P4, separable="gc")

    layers = {
        **six_valid_convolutions(channels, planes, block=block, pool=max_pool(2, group=P4)),
        **separable_block(7, planes, planes, 4, group=P4, separable="gc"),
        **classifier(planes, classes, group=P4),
    }
    return Network(layers, depths=(*DEPTHS, "relu7", "coset")).apply(sepgroupy)
