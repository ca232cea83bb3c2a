"""Lifting and group convolutions: one gather of the weights, then one ordinary convolution."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d

from benchmark.errors import UserError
from benchmark.nn.fields import Field, feature_field
from benchmark.nn.groups import TRIVIAL, Group


class BankTable(NamedTuple):
    """Where the filters of a bank stand in the weight, and back; made once for each layer.

    Args:
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


_gather: Callable[[Tensor, Tensor, Tensor], Tensor] = _Gather.apply


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
    bank = _gather(weight.flatten(1), places.to(weight.device), sources.to(weight.device))
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
    expected = weight.shape[1] * groups * len(in_group)
    if features.shape[-3] != expected:
        raise UserError(
            f"the input has {features.shape[-3]} channels, but the layer needs {expected}: "
            f"{weight.shape[1] * groups} channels × {len(in_group)} elements of {in_group.name}"
        )
    bank = filter_bank(weight, group, in_group, table)
    repeated = None if bias is None else bias.unsqueeze(1).expand(-1, len(group)).reshape(-1)
    if stride > 1 and padding == 0 and weight.shape[-1] == 1:
        # The same sums. oneDNN's backward pass of a strided 1×1 convolution writes beyond its memory where 8 channels
        # meet an even size (torch 2.12.1, channels_last): the process dies, or goes on with whatever it hit.
        # Windows of one pixel pick every stride-th one, and unlike a slice's their gradient is in channels_last, too.
        features, stride = avg_pool2d(features, 1, stride), 1
    return conv2d(features, bank, repeated, stride, padding, dilation, groups)


class GroupConv(nn.Module):
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
        super().__init__()
        for name, value in (
            ("in_channels", in_channels),
            ("out_channels", out_channels),
            ("kernel_size", kernel_size),
            ("stride", stride),
            ("dilation", dilation),
            ("groups", groups),
        ):
            if value < 1:
                raise UserError(f"{name} (={value}) must be at least 1")
        if padding < 0:
            raise UserError(f"padding (={padding}) must be at least 0")
        for name, value in (("in_channels", in_channels), ("out_channels", out_channels)):
            if value % groups:
                raise UserError(f"{name} (={value}) must be divisible by groups (={groups})")
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.group, self.in_group = group, in_group or group
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.field: Field = feature_field(group)
        channels = in_channels // groups
        table = bank_table(kernel_size, channels, self.group, self.in_group)
        self.register_buffer("places", table.places, persistent=False)
        self.register_buffer("sources", table.sources, persistent=False)
        self.weight = nn.Parameter(torch.empty(out_channels, channels, len(self.in_group), kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weights and biases anew from torch's global generator."""
        bound = self.weight[0].numel() ** -0.5
        nn.init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in_channels·in_group, height, width) -> (batch, out_channels·group, height, width)."""
        return group_conv2d(
            features,
            self.weight,
            self.bias,
            self.group,
            self.in_group,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
            table=BankTable(self.places, self.sources),
        )

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return (
            f"{self.in_channels}, {self.out_channels}, {self.kernel_size}, group={self.group.name}, "
            f"in_group={self.in_group.name}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, groups={self.groups}, bias={self.bias is not None}"
        )
