"""The fast CIFAR-10 network of Jordan 2024 (arXiv 2404.00498, airbench) for every group."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from gcnnbench.architectures.sequence import Network, max_pool, require_size
from gcnnbench.errors import UserError
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import Field, Invariant, feature_field, with_field
from gcnnbench.nn.groups import TRIVIAL, Group
from gcnnbench.nn.layers import Layers
from gcnnbench.nn.linear import ScaledLinear
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.pooling import CosetPool, GlobalMaxPool
from gcnnbench.nn.subsampling import EquivariantMaxPool


def air_network(
    *,
    size: int,
    channels: int,
    classes: int,
    stem: int,
    widths: Sequence[int],
    norm_eps: float,
    norm_momentum: float,
    logit_scale: float,
    group: Group,
    equivariant_pools: bool = False,
    stem_norm: bool = False,
) -> Network:
    """A 2×2 lifting convolution, three blocks that halve the size, global maximum, coset maximum, linear layer.

    A block is convolution – 2×2 max-pool – norm – GELU – convolution – norm – GELU; its convolutions are 3×3, padded,
    without bias, and start as the identity as far as they have channels. Norms have a bias and no scale. The pools'
    grids are symmetric at input sizes i ≡ 1 mod 8; with equivariant pools the network is exact at every size.

    Args:
        size: height and width of the images.
        channels: of the images.
        classes: the number of logits.
        stem: channels of the lifting convolution.
        widths: channels of each block.
        norm_eps: what norms add to the variance.
        norm_momentum: the share of a batch in the norms' running statistics.
        logit_scale: a factor of the logits.
        group: the group of the features.
        equivariant_pools: whether the pools are `EquivariantMaxPool`.
        stem_norm: whether a norm follows the lifting convolution, which then has no bias.

    Raises:
        UserError: there are not three widths, or the input is too small.
    """
    if len(widths) != 3:
        raise UserError(f"widths (={tuple(widths)}) must have three numbers")
    require_size(size, 9)
    field = feature_field(group)

    def activated(number: str, width: int) -> Layers:
        norm = GroupBatchNorm(width, group=group, eps=norm_eps, momentum=norm_momentum, scale=False)
        return {f"norm{number}": norm, f"gelu{number}": gelu(field)}

    def convolution(before: int, width: int) -> GroupConv:
        conv = GroupConv(before, width, 3, group=group, padding=1, bias=False)
        start_as_identity(conv)
        return conv

    layers: Layers = {"stem": GroupConv(channels, stem, 2, group=group, in_group=TRIVIAL, bias=not stem_norm)}
    layers |= activated("0", stem) if stem_norm else {"gelu0": gelu(field)}
    before = stem
    for block, width in enumerate(widths, start=1):
        layers[f"conv{block}a"] = convolution(before, width)
        layers[f"pool{block}"] = EquivariantMaxPool(group) if equivariant_pools else max_pool(2, group=group)
        layers |= activated(f"{block}a", width)
        layers[f"conv{block}b"] = convolution(width, width)
        layers |= activated(f"{block}b", width)
        before = width
    layers["max"] = with_field(GlobalMaxPool(), field)
    layers["coset"] = CosetPool(group)
    layers["flatten"] = with_field(nn.Flatten(), Invariant())
    layers["linear"] = with_field(ScaledLinear(before, classes, logit_scale), Invariant())
    return Network(layers, depths=("gelu0", "pool1", "gelu1b", "pool2", "gelu2b", "pool3", "gelu3b", "coset"))


def gelu(field: Field) -> nn.Module:
    """The exact GELU of features with that field."""
    return with_field(nn.GELU(), field)


@torch.no_grad()
def start_as_identity(conv: GroupConv) -> None:
    """Let the first `in_channels` filters pass their own channel on: W[o, i, h](u) is 1 where i = o, h = e, u = 0."""
    passed = min(conv.in_channels, conv.out_channels)
    centre = conv.kernel_size // 2
    conv.weight[:passed] = 0
    for channel in range(passed):
        conv.weight[channel, channel, conv.in_group.index(conv.in_group.elements[0]), centre, centre] = 1
