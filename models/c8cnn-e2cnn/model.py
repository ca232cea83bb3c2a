"""The MNIST study's network with C8-steerable convolutions of e2cnn (Weiler & Cesa 2019)."""

from __future__ import annotations

from e2cnn import nn as enn

from gcnnbench.architectures.sequence import Network, require_size
from gcnnbench.nn.steerable import Steerable, regular_type, scalar_type, steerable_block, steerable_classifier


def build(*, size: int, channels: int, classes: int, planes: int, dropout: float) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), seven C8 convolutions of `planes` regular fields."""
    require_size(size, 8)
    image, regular = scalar_type(8, channels), regular_type(8, planes)
    layers = {
        **steerable_block(1, image, regular, dropout=dropout),
        **steerable_block(2, regular, regular),
        "pool": Steerable(enn.PointwiseMaxPool(regular, kernel_size=2)),
        **steerable_block(3, regular, regular, dropout=dropout),
        **steerable_block(4, regular, regular, dropout=dropout),
        **steerable_block(5, regular, regular, dropout=dropout),
        **steerable_block(6, regular, regular),
        **steerable_block(7, regular, regular, 4, padding=0),
        **steerable_classifier(regular, classes),
    }
    return Network(layers, depths=("relu1", "relu2", "pool", "relu3", "relu4", "relu5", "relu6", "relu7", "coset"))
