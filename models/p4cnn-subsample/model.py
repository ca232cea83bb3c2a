"""P4CNN of the MNIST study with equivariant subsampling (Xu et al. 2021) in place of the max-pool."""

from __future__ import annotations

from gcnnbench.architectures.initialisation import sepgroupy
from gcnnbench.architectures.sequence import Network, classifier, conv_block, require_size
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.subsampling import EquivariantMaxPool


def build(*, size: int, channels: int, classes: int, planes: int, dropout: float) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), seven p4 convolutions of `planes` channels."""
    require_size(size, 7)
    layers = {
        **conv_block(1, channels, planes, group=P4, in_group=TRIVIAL, dropout=dropout),
        **conv_block(2, planes, planes, group=P4),
        "pool": EquivariantMaxPool(P4),
        **conv_block(3, planes, planes, group=P4, dropout=dropout),
        **conv_block(4, planes, planes, group=P4, dropout=dropout),
        **conv_block(5, planes, planes, group=P4, dropout=dropout),
        **conv_block(6, planes, planes, group=P4),
        **conv_block(7, planes, planes, 4, group=P4, padding=0),
        **classifier(planes, classes, group=P4),
    }
    depths = ("relu1", "relu2", "pool", "relu3", "relu4", "relu5", "relu6", "relu7", "coset")
    return Network(layers, depths=depths).apply(sepgroupy)
