"""Z2CNN of the MNIST study (Edixhoven et al. 2023)."""

from __future__ import annotations

from gcnnbench.architectures.sequence import Network, classifier, conv_block, max_pool, require_size
from gcnnbench.nn.groups import TRIVIAL


def build(*, size: int, channels: int, classes: int, planes: int, dropout: float) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), seven ordinary convolutions of `planes` channels."""
    require_size(size, 8)
    layers = {
        **conv_block(1, channels, planes, group=TRIVIAL, dropout=dropout),
        **conv_block(2, planes, planes, group=TRIVIAL),
        "pool": max_pool(2, group=TRIVIAL),
        **conv_block(3, planes, planes, group=TRIVIAL, dropout=dropout),
        **conv_block(4, planes, planes, group=TRIVIAL, dropout=dropout),
        **conv_block(5, planes, planes, group=TRIVIAL, dropout=dropout),
        **conv_block(6, planes, planes, group=TRIVIAL),
        **conv_block(7, planes, planes, 4, group=TRIVIAL, padding=0),
        **classifier(planes, classes, group=TRIVIAL),
    }
    return Network(layers, depths=("relu1", "relu2", "pool", "relu3", "relu4", "relu5", "relu6", "relu7"))
