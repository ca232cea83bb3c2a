"""Z2CNN for rotated MNIST (Cohen & Welling 2016)."""

from __future__ import annotations

from gcnnbench.architectures.initialisation import lecun_normal
from gcnnbench.architectures.rotmnist import DEPTHS, maximal_logits, six_valid_convolutions
from gcnnbench.architectures.sequence import Network, conv_block, max_pool, require_size
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import TRIVIAL
from gcnnbench.nn.layers import Layers


def build(*, size: int, channels: int, classes: int, planes: int, dropout: float) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), seven ordinary valid convolutions."""
    require_size(size, 27)

    def block(number: int, in_channels: int) -> Layers:
        rate = None if number == 2 else dropout
        return conv_block(number, in_channels, planes, group=TRIVIAL, padding=0, dropout=rate)

    layers = {
        **six_valid_convolutions(channels, planes, block=block, pool=max_pool(2, group=TRIVIAL, ceil_mode=True)),
        "conv7": GroupConv(planes, classes, 4, group=TRIVIAL),
        **maximal_logits(group=TRIVIAL),
    }
    return Network(layers, depths=(*DEPTHS, "conv7")).apply(lecun_normal)
