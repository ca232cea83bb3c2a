"""Lifting and group convolutions: one gather of the weights, then one ordinary convolution."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gcnnbench.errors import UserError
from gcnnbench.nn.bank import BankConv, BankTable, bank_conv2d, per_element, require_channels
from gcnnbench.nn.groups import TRIVIAL, Group


def bank_table(kernel_size: int, channels: int, group: Group, in_group: Group) -> BankTable:
    """The table of a filter bank, in the order of channels_last memory: the bank is born in the fast layout.

    Places count the weight of one output channel, flattened from (channels, in_group, height, width), for entries of
    the bank flattened from (group, height, width, channels·in_group).

    Args:
        kernel_size: the height and width of the kernel.
        channels: the input channels that one filter sees, those of one convolution group.
        group: the group of the output.
        in_group: the group of the input, `group` itself or the trivial one.

    Raises:
        UserError: `in_group` is neither.
    """
    if in_group not in (group, TRIVIAL):
        raise UserError(f"in_group (={in_group.name}) must be the output's group {group.name}, or trivial to lift")
    shape = (channels, len(in_group), kernel_size, kernel_size)
    position = torch.arange(math.prod(shape)).view(shape)
    orders = []
    for g in group.elements:
        fibre = [0] if in_group == TRIVIAL else [group.index(g.inverse * h) for h in group.elements]
        orders.append(g.act(position[:, fibre]).flatten(0, 1).permute(1, 2, 0).flatten())
    inverses = [order.argsort() + copy * position.numel() for copy, order in enumerate(orders)]
    return BankTable(torch.cat(orders), torch.cat(inverses))


class _Gather(torch.autograd.Function):
    """`weight[:, places]`, whose gradient is a gather and a sum over the group.

    PyTorch's own gradient adds entry by entry: four times slower on a CPU, and on a GPU in an order that changes from
    run to run, which would cost bitwise reproducibility.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(weight: Tensor, places: Tensor, _sources: Tensor) -> Tensor:
        return weight.index_select(1, places)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor], _output: Tensor) -> None:
        weight, places, sources = inputs
        ctx.copies = places.numel() // weight.shape[1]
        ctx.save_for_backward(sources)
        ctx.save_for_forward(places)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (sources,) = ctx.saved_tensors
        return grad.index_select(1, sources).unflatten(1, (ctx.copies, -1)).sum(1), None, None

    @staticmethod
    def jvp(ctx: Any, tangent: Tensor, *_: None) -> Tensor:
        (places,) = ctx.saved_tensors
        return tangent.index_select(1, places)


gather: Callable[[Tensor, Tensor, Tensor], Tensor] = _Gather.apply


def filter_bank(weight: Tensor, group: Group, in_group: Group, table: BankTable | None = None) -> Tensor:
    """The filters of a group convolution as those of an ordinary one, `B[o, g, i, h](u) = W[o, i, g⁻¹h](g⁻¹u)`.

    Args:
        weight: (out_channels, channels, in_group, height, width).
        group: the group of the output.
        in_group: the group of the input, `group` itself or the trivial one (then it is a lifting convolution).
        table: the table made by `bank_table` for these, where it is at hand.

    Returns:
        (out_channels·group, channels·in_group, height, width) in channels_last memory.
    """
    out_channels, channels, _, kernel_size, _ = weight.shape
    places, sources = table or bank_table(kernel_size, channels, group, in_group)
    bank = gather(weight.flatten(1), places.to(weight.device), sources.to(weight.device))
    rows = bank.view(out_channels * len(group), kernel_size, kernel_size, channels * len(in_group))
    return rows.permute(0, 3, 1, 2)


def group_conv2d(
    features: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    group: Group,
    in_group: Group,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
    table: BankTable | None = None,
) -> Tensor:
    """The group convolution `y[o, g](x) = Σ_{i,h,u} W[o, i, g⁻¹h](g⁻¹u) f[i, h](x + u) + b[o]`.

    Cohen & Welling 2016 (arXiv 1602.07576), equations 10 and 11; with the trivial `in_group` it is the lifting one.

    Args:
        features: (batch, in_channels·in_group, height, width).
        weight: (out_channels, in_channels / groups, in_group, height, width).
        bias: (out_channels,), shared over the group, or None.
        group: the group of the output.
        in_group: the group of the input, `group` itself or the trivial one.
        stride: the step of the sampling grid.
        padding: zeros added on every side.
        dilation: the distance of neighbouring kernel points.
        groups: the number of blocks of channels that do not see each other.
        table: the table made by `bank_table` for these, where it is at hand.

    Returns:
        (batch, out_channels·group, height, width) in channels_last memory.

    Raises:
        UserError: the features do not have in_channels·in_group channels.
    """
    require_channels(features, weight.shape[1] * groups, in_group)
    bank = filter_bank(weight, group, in_group, table)
    bias = per_element(bias, group)
    return bank_conv2d(features, bank, bias, stride=stride, padding=padding, dilation=dilation, groups=groups)


class GroupConv(BankConv):
    """A group convolution; with the trivial `in_group` a lifting one, with both trivial an ordinary one.

    Arguments, errors and the start of the weights are those of `BankConv`.
    """

    def make_table(self) -> BankTable:
        """Where the filters under every element stand in the weight."""
        return bank_table(self.kernel_size, self.in_channels // self.groups, self.group, self.in_group)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(out_channels, in_channels / groups, in_group, height, width): one filter for each output channel."""
        channels, size = self.in_channels // self.groups, self.kernel_size
        return (self.out_channels, channels, len(self.in_group), size, size)

    def bank(self) -> tuple[Tensor, Tensor | None]:
        """The weight under every element of the group, and the bias repeated over it; see `filter_bank`."""
        return filter_bank(self.weight, self.group, self.in_group, self.table), per_element(self.bias, self.group)
