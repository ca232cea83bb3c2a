"""All-CNN-C (Springenberg et al. 2015, arXiv 1412.6806) for every group, as Cohen & Welling 2016 trained it."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.architectures.heads import averaged_logits
from gcnnbench.architectures.initialisation import normal
from gcnnbench.architectures.sequence import Network, require_halvings
from gcnnbench.errors import UserError
from gcnnbench.nn.activation import ReLU
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.dropout import Dropout
from gcnnbench.nn.fields import ScalarField, feature_field, with_field
from gcnnbench.nn.groups import TRIVIAL, Group
from gcnnbench.nn.layers import Layers
from gcnnbench.nn.normalisation import GroupBatchNorm


def all_convolutional(
    *,
    size: int,
    channels: int,
    classes: int,
    widths: Sequence[int],
    dropout: Sequence[float],
    std: float,
    group: Group,
) -> Network:
    """Nine convolutions, the third and the sixth with stride 2, each with batch norm and ReLU, and their mean.

    The last has a channel for each class; its batch norm and ReLU are published so. The grids are symmetric at input
    sizes i ≡ 1 mod 4.

    Args:
        size: height and width of the images.
        channels: of the images.
        classes: the number of logits.
        widths: channels of the first three convolutions and of the next five.
        dropout: the probability of a zero in the images and behind each convolution with a stride.
        std: the standard deviation of the first weights.
        group: the group of the features.

    Raises:
        UserError: `widths` or `dropout` has not two numbers, or a stride would halve a single pixel.
    """
    for name, given in (("widths", widths), ("dropout", dropout)):
        if len(given) != 2:
            raise UserError(f"{name} (={tuple(given)}) must have two numbers")
    require_halvings(size, 2)
    field = feature_field(group)
    first, second = widths
    outs = (first, first, first, second, second, second, second, second, classes)
    layers: Layers = {"dropout0": with_field(Dropout(dropout[0]), ScalarField())}
    before = channels
    for number, width in enumerate(outs, start=1):
        kernel_size, stride = 3 if number < 8 else 1, 2 if number in (3, 6) else 1
        layers |= {
            f"conv{number}": GroupConv(
                before,
                width,
                kernel_size,
                group=group,
                in_group=TRIVIAL if number == 1 else group,
                stride=stride,
                padding=kernel_size // 2,
            ),
            f"norm{number}": GroupBatchNorm(width, group=group),
            f"relu{number}": with_field(ReLU(), field),
        }
        if stride == 2:
            layers[f"dropout{number}"] = with_field(Dropout(dropout[1]), field)
        before = width
    layers |= averaged_logits(group=group)
    network = Network(layers, depths=(*(f"relu{number}" for number in range(1, 10)), "coset"))
    network.apply(normal(std))
    return network
