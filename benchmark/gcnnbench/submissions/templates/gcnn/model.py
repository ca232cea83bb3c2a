"""A p4-equivariant network from this suite's layers: a correct starting point; make it your own."""

from __future__ import annotations

from torch import nn

from gcnnbench.architectures.sequence import Network, classifier, conv_block, max_pool, require_size
from gcnnbench.nn.groups import P4, TRIVIAL


def build(*, size: int, channels: int, classes: int, planes: int) -> nn.Module:
    """Build the network: images (batch, channels, size, size) -> logits (batch, classes).

    The suite seeds torch's generator before it calls this, so draw the weights here and seed nothing. What stands under
    `hyperparameters` in model.yaml comes as further arguments. Features are (batch, channels·group, height, width).
    The one pool samples a symmetric grid only where its input has an even size: see `gcnnbench audit`.
    """
    require_size(size, 2)
    layers = {
        **conv_block(1, channels, planes, group=P4, in_group=TRIVIAL),
        **conv_block(2, planes, planes, group=P4),
        "pool": max_pool(2, group=P4),
        **conv_block(3, planes, planes, group=P4),
        **conv_block(4, planes, planes, group=P4),
        **classifier(planes, classes, group=P4),
    }
    return Network(layers, depths=("relu1", "relu2", "pool", "relu3", "relu4", "coset"))
