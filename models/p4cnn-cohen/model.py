"""P4CNN for rotated MNIST (Cohen & Welling 2016)."""

from __future__ import annotations

from gcnnbench.architectures.initialisation import lecun_normal
from gcnnbench.architectures.rotmnist import DEPTHS, maximal_logits, six_valid_convolutions
from gcnnbench.architectures.sequence import Network, conv_block, max_pool, require_size
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.layers import Layers


def build(*, size: int, channels: int, classes: int, planes: int) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), seven valid p4 convolutions."""
    require_size(size, 27)

    def block(number: int, in_channels: int) -> Layers:
        return conv_block(number, in_channels, planes, group=P4, in_group=TRIVIAL if number == 1 else P4, padding=0)

    layers = {
        **six_valid_convolutions(channels, planes, block=block, pool=max_pool(2, group=P4, ceil_mode=True)),
        "conv7": GroupConv(planes, classes, 4, group=P4),
        **maximal_logits(group=P4),
    }
    return Network(layers, depths=(*DEPTHS, "conv7", "coset")).apply(lecun_normal)
