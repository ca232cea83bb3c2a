"""The p4m sibling of the MNIST study's P4CNN (Edixhoven et al. 2023)."""

from __future__ import annotations

from gcnnbench.architectures.initialisation import sepgroupy
from gcnnbench.architectures.sequence import Network, classifier, conv_block, max_pool, require_size
from gcnnbench.nn.groups import P4M, TRIVIAL


def build(*, size: int, channels: int, classes: int, planes: int, dropout: float) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), seven p4m convolutions of `planes` channels."""
    require_size(size, 8)
    layers = {
        **conv_block(1, channels, planes, group=P4M, in_group=TRIVIAL, dropout=dropout),
        **conv_block(2, planes, planes, group=P4M),
        "pool": max_pool(2, group=P4M),
        **conv_block(3, planes, planes, group=P4M, dropout=dropout),
        **conv_block(4, planes, planes, group=P4M, dropout=dropout),
        **conv_block(5, planes, planes, group=P4M, dropout=dropout),
        **conv_block(6, planes, planes, group=P4M),
        **conv_block(7, planes, planes, 4, group=P4M, padding=0),
        **classifier(planes, classes, group=P4M),
    }
    depths = ("relu1", "relu2", "pool", "relu3", "relu4", "relu5", "relu6", "relu7", "coset")
    return Network(layers, depths=depths).apply(sepgroupy)
