"""What networks for rotated MNIST have in common: the seven valid convolutions of Cohen & Welling 2016, section 8.1."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from gcnnbench.nn.activation import ReLU
from gcnnbench.nn.fields import Invariant, ScalarField, with_field
from gcnnbench.nn.groups import Group
from gcnnbench.nn.layers import Layers
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.pooling import CosetPool, GlobalMaxPool
from gcnnbench.nn.separable import Separable, SeparableGroupConv

Block = Callable[[int, int], Layers]
"""Makes the layers of one 3×3 valid convolution from its number and its input channels."""

DEPTHS = ("relu1", "relu2", "pool", "relu3", "relu4", "relu5", "relu6")
"""The depths of the six blocks, where each ends in a ReLU."""


def six_valid_convolutions(channels: int, planes: int, *, block: Block, pool: nn.Module) -> Layers:
    """Two blocks – max-pool – four blocks: 28 pixels become 26, 24, 12, 10, 8, 6, 4.

    Args:
        channels: of the images.
        planes: output channels of every block.
        block: makes the layers of a 3×3 convolution without padding.
        pool: halves the size.
    """
    layers: Layers = {}
    for number in range(1, 7):
        layers |= block(number, channels if number == 1 else planes)
        if number == 2:
            layers["pool"] = pool
    return layers


def separable_block(
    number: int, in_channels: int, out_channels: int, kernel_size: int = 3, *, group: Group, separable: Separable
) -> Layers:
    """Separable valid convolution – batch norm – ReLU, whose running variance starts where fresh weights put it.

    For rectified normalised features, E[x²] = ½, that is `σ² = ½ · in_channels · |group| · kernel_size² Var[P] Var[S]`.
    Both factors start so small that with a running variance of one an untrained network in evaluation mode would lose
    most of what tells images apart in each layer, in the end all but rounding, and no audit could judge it. Training
    forgets where running statistics start.

    Args:
        number: what the names end in.
        in_channels: input channels.
        out_channels: output channels.
        kernel_size: the height and width of the kernel.
        group: the group of the input and the output.
        separable: `g` or `gc`.
    """
    conv = SeparableGroupConv(in_channels, out_channels, kernel_size, group=group, separable=separable)
    norm = GroupBatchNorm(out_channels, group=group)
    bound = (in_channels * kernel_size**2) ** -0.5  # of both factors, each of variance bound²/3
    norm.running_var.fill_(in_channels * len(group) * kernel_size**2 / 2 * (bound**2 / 3) ** 2)
    return {f"conv{number}": conv, f"norm{number}": norm, f"relu{number}": with_field(ReLU(), conv.field)}


def maximal_logits(*, group: Group) -> Layers:
    """The maximum of each channel over group elements and pixels: the features are the logits."""
    return {
        "coset": CosetPool(group),
        "max": with_field(GlobalMaxPool(), ScalarField()),
        "logits": with_field(nn.Flatten(), Invariant()),
    }
