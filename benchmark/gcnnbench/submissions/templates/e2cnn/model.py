"""A C4-steerable network on e2cnn: a correct starting point; make it your own."""

from __future__ import annotations

from e2cnn import nn as enn
from torch import nn

from gcnnbench.architectures.sequence import Network, require_size
from gcnnbench.nn.steerable import Steerable, regular_type, scalar_type, steerable_block, steerable_classifier


def build(*, size: int, channels: int, classes: int, planes: int) -> nn.Module:
    """Build the network: images (batch, channels, size, size) -> logits (batch, classes).

    The suite seeds torch's generator before it calls this, so draw the weights here and seed nothing. What stands under
    `hyperparameters` in model.yaml comes as further arguments. `gcnnbench.nn.steerable` wraps e2cnn's layers so that
    they work on plain tensors and keep no stale filters; a bare `R2Conv` would.
    """
    require_size(size, 2)
    image, regular = scalar_type(4, channels), regular_type(4, planes)
    layers = {
        **steerable_block(1, image, regular),
        **steerable_block(2, regular, regular),
        "pool": Steerable(enn.PointwiseMaxPool(regular, kernel_size=2)),
        **steerable_block(3, regular, regular),
        **steerable_block(4, regular, regular),
        **steerable_classifier(regular, classes),
    }
    return Network(layers, depths=("relu1", "relu2", "pool", "relu3", "relu4", "coset"))
