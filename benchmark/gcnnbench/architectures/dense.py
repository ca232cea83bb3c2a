"""Densely connected networks (Huang et al. 2017, arXiv 1608.06993) of valid convolutions, for every group."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn

from gcnnbench.architectures.initialisation import keras_he_normal
from gcnnbench.architectures.sequence import Network, require_size
from gcnnbench.nn.activation import ReLU
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import Field, Invariant, ScalarField, feature_field, with_field
from gcnnbench.nn.groups import TRIVIAL, Group
from gcnnbench.nn.layers import Layers
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.pooling import CosetPool


class Dense(nn.Module):
    """The features without their margin, and what a branch makes of them behind it: `y = (x, F(x))`.

    As many pixels are cropped at either end, so that the crop moves with the image.

    Args:
        branch: F, of layers without padding.
        margin: the pixels that the branch takes from each side.
        field: how x and F(x) transform.
    """

    def __init__(self, branch: nn.Module, margin: int, field: Field) -> None:
        super().__init__()
        self.branch, self.margin, self.field = branch, margin, field

    def forward(self, features: Tensor) -> Tensor:
        """(batch, channels·group, i, i) -> (batch, (channels + grown)·group, i − 2·margin, i − 2·margin)."""
        inner = slice(self.margin, -self.margin)
        return torch.cat([features[..., inner, inner], self.branch(features)], 1)


def dense_norm(channels: int, *, group: Group) -> GroupBatchNorm:
    """Batch norm with ε = 1.1e-5 whose running statistics take 0.01 of each batch, which Keras calls momentum 0.99.

    Source: `densenetnew.py` in basveeling/keras-gcnn at 0a4a36c.
    """
    return GroupBatchNorm(channels, group=group, eps=1.1e-5, momentum=0.01)


def _activated(channels: int, conv: nn.Module, group: Group) -> OrderedDict[str, nn.Module]:
    """Batch norm – ReLU – convolution."""
    norm = dense_norm(channels, group=group)
    return OrderedDict(norm=norm, relu=with_field(ReLU(), feature_field(group)), conv=conv)


def dense_block(channels: int, growth: int, *, group: Group) -> Dense:
    """One layer that grows by a 3×3 valid convolution: (batch, channels·group, i, i) -> (…, i − 2, i − 2)."""
    conv = GroupConv(channels, growth, 3, group=group, bias=False)
    return Dense(nn.Sequential(_activated(channels, conv, group)), 1, feature_field(group))


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
        "norm": dense_norm(width, group=group),
        "relu": with_field(ReLU(), feature_field(group)),
        "coset": CosetPool(group, "mean"),
        "mean": with_field(nn.AdaptiveAvgPool2d(1), ScalarField()),
        "flatten": with_field(nn.Flatten(), Invariant()),
        "linear": with_field(nn.Linear(width, classes), Invariant()),
    }
    depths = ("conv", *(f"dense{number}" for number in range(1, blocks + 1)), "coset")
    return Network(layers, depths=depths).apply(keras_he_normal)
