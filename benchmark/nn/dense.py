"""Densely connected networks (Huang et al. 2017, arXiv 1608.06993) of valid convolutions, for every group."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from benchmark.errors import UserError
from benchmark.nn.convolution import GroupConv
from benchmark.nn.fields import Field, Invariant, ScalarField, feature_field, with_field
from benchmark.nn.groups import TRIVIAL, Group
from benchmark.nn.initialisation import he_normal
from benchmark.nn.network import Layers, Network, require_size
from benchmark.nn.normalisation import GroupBatchNorm
from benchmark.nn.pooling import CosetPool


class Dense(nn.Module):
    """The features, cropped to the size of what a branch makes of them, and the branch's behind them: `y = (x, F(x))`.

    As many pixels are cropped at either end, so the crop moves with the image; channels stay outer and group elements
    inner.

    Args:
        branch: F, of layers without padding.
        field: how x and F(x) transform.
    """

    def __init__(self, branch: nn.Module, field: Field) -> None:
        super().__init__()
        self.branch, self.field = branch, field

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels·group, height, width) -> (batch, (channels + grown)·group, fewer, fewer).

        Raises:
            UserError: the branch takes an odd number of pixels, which no crop takes alike from both ends.
        """
        grown: Tensor = self.branch(features)
        rows, columns = (old - new for old, new in zip(features.shape[-2:], grown.shape[-2:], strict=True))
        if rows % 2 or columns % 2:
            raise UserError(f"the branch takes {rows} rows and {columns} columns; both must be even to crop alike")
        top, left = rows // 2, columns // 2
        kept = features[..., top : top + grown.shape[-2], left : left + grown.shape[-1]]
        return torch.cat([kept, grown], 1)


def _activated(channels: int, conv: nn.Module, group: Group) -> OrderedDict[str, nn.Module]:
    """Batch norm – ReLU – convolution."""
    norm = GroupBatchNorm(channels, group=group)
    return OrderedDict(norm=norm, relu=with_field(nn.ReLU(), feature_field(group)), conv=conv)


def dense_block(channels: int, growth: int, *, group: Group) -> Dense:
    """One layer that grows by a 3×3 valid convolution: (batch, channels·group, i, i) -> (…, i − 2, i − 2)."""
    conv = GroupConv(channels, growth, 3, group=group, bias=False)
    return Dense(nn.Sequential(_activated(channels, conv, group)), feature_field(group))


def transition(in_channels: int, out_channels: int, *, group: Group) -> nn.Sequential:
    """Batch norm – ReLU – 1×1 convolution – 2×2 average pooling: half the size, rounded down."""
    layers = _activated(in_channels, GroupConv(in_channels, out_channels, 1, group=group, bias=False), group)
    layers["pool"] = with_field(nn.AvgPool2d(2), feature_field(group))
    return with_field(nn.Sequential(layers), feature_field(group))


def dense_network(
    *, size: int, channels: int, classes: int, growth: int, blocks: int, compression: float, group: Group
) -> Network:
    """A DenseNet of valid convolutions: blocks of one layer with transitions between them, and invariant logits.

    3×3 convolution – (dense block – transition) × (blocks − 1) – dense block – batch norm – ReLU – mean over the group
    – global average pooling – linear. It is exact where every average pool meets an even size.

    Args:
        size: the images' height and width.
        channels: the images' channels.
        classes: the number of logits.
        growth: the channels of the first convolution, and those that each block adds.
        blocks: the number of dense blocks.
        compression: the share of channels that a transition keeps.
        group: the group of the features.

    Raises:
        UserError: the images are too small.
    """
    smallest = 3  # for the last block
    for _ in range(blocks - 1):
        smallest = 2 * smallest + 2
    require_size(size, smallest + 2)
    layers: Layers = {"conv": GroupConv(channels, growth, 3, group=group, in_group=TRIVIAL, bias=False)}
    width = growth
    for number in range(1, blocks + 1):
        layers[f"dense{number}"] = dense_block(width, growth, group=group)
        width += growth
        if number < blocks:
            kept = int(width * compression)
            layers[f"transition{number}"] = transition(width, kept, group=group)
            width = kept
    layers |= {
        "norm": GroupBatchNorm(width, group=group),
        "relu": with_field(nn.ReLU(), feature_field(group)),
        "coset": CosetPool(group, "mean"),
        "mean": with_field(nn.AdaptiveAvgPool2d(1), ScalarField()),
        "flatten": with_field(nn.Flatten(), Invariant()),
        "linear": with_field(nn.Linear(width, classes), Invariant()),
    }
    depths = ("conv", *(f"dense{number}" for number in range(1, blocks + 1)), "coset")
    return Network(layers, depths=depths).apply(he_normal)
