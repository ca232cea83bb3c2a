"""The P4CNN of the MNIST study on a torus: circular borders, and two samplings of every second pixel."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from gcnnbench.architectures.initialisation import sepgroupy
from gcnnbench.architectures.sequence import Network, classifier, conv_block, require_size
from gcnnbench.errors import UserError
from gcnnbench.nn.fields import feature_field, with_field
from gcnnbench.nn.groups import TRIVIAL, Group
from gcnnbench.nn.layers import Layers

HALVINGS = 2


def circular_network(
    *, size: int, channels: int, classes: int, planes: int, dropout: float, group: Group, halve: Callable[[], nn.Module]
) -> Network:
    """(batch, channels, size, size) -> logits (batch, classes), six 3×3 convolutions of `planes` channels.

    Args:
        size: height and width, a multiple of four.
        channels: of the images.
        classes: the number of logits.
        planes: output channels of each convolution.
        dropout: the probability of a zero, after all but every second convolution.
        group: of the convolutions.
        halve: makes the layer after every second convolution but the last, which halves the size.

    Raises:
        UserError: the size is too small, or no multiple of four.
    """
    require_size(size, 2**HALVINGS)
    if size % 2**HALVINGS:
        raise UserError(f"size (={size}) must be a multiple of {2**HALVINGS}: a torus of odd size cannot be halved")
    layers: Layers = {}
    for number in range(1, 7):
        lifts, closes = number == 1, number % 2 == 0
        layers[f"border{number}"] = with_field(nn.CircularPad2d(1), feature_field(TRIVIAL if lifts else group))
        layers |= conv_block(
            number,
            channels if lifts else planes,
            planes,
            group=group,
            in_group=TRIVIAL if lifts else None,
            padding=0,
            dropout=None if closes else dropout,
        )
        if closes and number < 6:
            layers[f"sampling{number // 2}"] = halve()
    layers |= classifier(planes, classes, group=group)
    depths = ("relu1", "relu2", "sampling1", "relu3", "relu4", "sampling2", "relu5", "relu6", "coset")
    return Network(layers, depths=depths).apply(sepgroupy)
