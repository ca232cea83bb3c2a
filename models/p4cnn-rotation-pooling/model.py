"""P4CNN with rotation pooling for rotated MNIST (Cohen & Welling 2016)."""

from __future__ import annotations

from gcnnbench.architectures.initialisation import lecun_normal
from gcnnbench.architectures.rotmnist import maximal_logits, six_valid_convolutions
from gcnnbench.architectures.sequence import Network, conv_block, max_pool, require_size
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.layers import Layers
from gcnnbench.nn.pooling import CosetPool


def build(*, size: int, channels: int, classes: int, planes: int) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), seven lifting convolutions, each pooled over cosets."""
    require_size(size, 27)

    def block(number: int, in_channels: int) -> Layers:
        lifted = conv_block(number, in_channels, planes, group=P4, in_group=TRIVIAL, padding=0)
        return {**lifted, f"coset{number}": CosetPool(P4)}

    layers = {
        **six_valid_convolutions(channels, planes, block=block, pool=max_pool(2, group=TRIVIAL, ceil_mode=True)),
        "conv7": GroupConv(planes, classes, 4, group=P4, in_group=TRIVIAL),
        **maximal_logits(group=P4),
    }
    depths = ("coset1", "coset2", "pool", "coset3", "coset4", "coset5", "coset6", "conv7", "coset")
    return Network(layers, depths=depths).apply(lecun_normal)
