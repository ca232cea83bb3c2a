"""Lifting and group convolutions: one gather of the weights, then one ordinary convolution."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gcnnbench.errors import UserError
from gcnnbench.nn.bank import BankConv, bank_conv2d, per_element, require_channels
from gcnnbench.nn.groups import TRIVIAL, Group


class BankTable(NamedTuple):
    """Where the filters of a bank stand in the weight, and back; made once for each layer.

    Attributes:
        places: for each entry of the bank, flattened from (group, height, width, channels·in_group), its place in the
            weight of one output channel, flattened from (channels, in_group, height, width).
        sources: for each copy and each entry of that weight, flattened from (group, weight), its place in the bank.
    """

    places: Tensor
    sources: Tensor


def bank_table(kernel_size: int, channels: int, group: Group, in_group: Group) -> BankTable:
    """The table of a filter bank, in the order of channels_last memory: the bank is born in the fast layout.

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
    repeated = None if bias is None else per_element(bias, group)
    return bank_conv2d(features, bank, repeated, stride=stride, padding=padding, dilation=dilation, groups=groups)


class GroupConv(BankConv):
    """A group convolution; with the trivial `in_group` a lifting one, with both trivial an ordinary one.

    Weights and biases start as those of `nn.Conv2d`, uniform in ±1/√fan_in,
    fan_in = in_channels/groups · |in_group| · kernel_size².

    Args:
        in_channels: input channels, each of |in_group| feature maps.
        out_channels: output channels, each of |group| feature maps.
        kernel_size: the height and width of the kernel.
        group: the group of the output.
        in_group: the group of the input, `group` itself (the default) or the trivial one.
        stride: the step of the sampling grid.
        padding: zeros added on every side.
        dilation: the distance of neighbouring kernel points.
        groups: the number of blocks of channels that do not see each other.
        bias: whether there is a bias, one for each output channel.

    Raises:
        UserError: a size is not positive, `groups` does not divide the channels, or `in_group` does not fit.
    """

    places: Tensor
    sources: Tensor

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        group: Group,
        in_group: Group | None = None,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            group=group,
            in_group=in_group,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
        )
        table = bank_table(kernel_size, in_channels // groups, self.group, self.in_group)
        self.register_buffer("places", table.places, persistent=False)
        self.register_buffer("sources", table.sources, persistent=False)
        self.reset_parameters()

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(out_channels, in_channels / groups, in_group, height, width): one filter for each output channel."""
        channels, size = self.in_channels // self.groups, self.kernel_size
        return (self.out_channels, channels, len(self.in_group), size, size)

    def bank(self) -> tuple[Tensor, Tensor | None]:
        """The weight under every element of the group, and the bias repeated over it; see `filter_bank`."""
        table = BankTable(self.places, self.sources)
        bank = filter_bank(self.weight, self.group, self.in_group, table)
        return bank, None if self.bias is None else per_element(self.bias, self.group)
