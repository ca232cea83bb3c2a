"""Convolutions between group features as one ordinary convolution with a finished filter bank."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d

from gcnnbench.errors import UserError, require_at_least
from gcnnbench.formatting import how_many
from gcnnbench.nn.fields import Field, feature_field
from gcnnbench.nn.groups import TRIVIAL, Group


class BankTable(NamedTuple):
    """Where the entries of a bank stand in the weight that it is gathered from, and back; made once for each layer.

    Attributes:
        places: for each entry of the bank its place in the weight; see `bank_table` and `orbit_table` for the orders.
        sources: for each copy and each entry of the weight its place in the bank.
    """

    places: Tensor
    sources: Tensor


def per_element(bias: Tensor | None, group: Group) -> Tensor | None:
    """A bias (out_channels,) shared over the group as one for each feature map, (out_channels·group,)."""
    return None if bias is None else bias.unsqueeze(1).expand(-1, len(group)).reshape(-1)


def in_channels_last(bank: Tensor) -> Tensor:
    """The bank (outputs, inputs, height, width) in channels_last memory.

    With one input channel, too, where PyTorch would take either layout for it.
    """
    outs, ins, height, width = bank.shape
    flat = bank.permute(0, 2, 3, 1).flatten()
    return flat.view(outs, height, width, ins).permute(0, 3, 1, 2)


def bank_conv2d(
    features: Tensor,
    bank: Tensor,
    bias: Tensor | None,
    *,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    groups: int = 1,
) -> Tensor:
    """The ordinary convolution with a finished filter bank.

    Args:
        features: (batch, in_channels·in_group, height, width).
        bank: (out_channels·group, in_channels·in_group / groups, height, width).
        bias: (out_channels·group,), or None.
        stride: the step of the sampling grid.
        padding: zeros added on every side.
        dilation: the distance of neighbouring kernel points.
        groups: the number of blocks of channels that do not see each other.

    Returns:
        (batch, out_channels·group, height, width), in channels_last memory where the bank or the features are.
    """
    if stride > 1 and padding == 0 and bank.shape[-1] == 1:
        # The same sums. oneDNN's backward pass of a strided 1×1 convolution writes beyond its memory where 8 channels
        # meet an even size (torch 2.12.1, channels_last): the process dies, or goes on with whatever it hit.
        # Windows of one pixel pick every stride-th one, and unlike a slice's their gradient is in channels_last, too.
        features, stride = avg_pool2d(features, 1, stride), 1
    return conv2d(features, bank, bias, stride, padding, dilation, groups)


def require_channels(features: Tensor, channels: int, in_group: Group) -> None:
    """Refuse features that have other channels than a layer's input.

    Raises:
        UserError: they do not have channels·in_group channels.
    """
    expected = channels * len(in_group)
    if features.shape[-3] != expected:
        raise UserError(
            f"the input has {how_many(features.shape[-3], 'channel')}, but the layer needs {expected}: "
            f"{how_many(channels, 'channel')} × {how_many(len(in_group), 'element')} of {in_group.name}"
        )


class BankConv(nn.Module):
    """A convolution between group features whose filters a subclass makes of its weights, in `bank`.

    Scoring, export and the probes take the finished bank, so they need no case for any subclass. A weight that is a
    bank itself lies in channels_last memory. Weights and biases
    start as those of `nn.Conv2d`, uniform in ±1/√fan_in, fan_in = in_channels/groups · |in_group| · kernel_size².

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

    bias: nn.Parameter | None
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
        require_at_least(1, in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size)
        require_at_least(1, stride=stride, dilation=dilation, groups=groups)
        require_at_least(0, padding=padding)
        for name, value in (("in_channels", in_channels), ("out_channels", out_channels)):
            if value % groups:
                raise UserError(f"{name} (={value}) must be divisible by groups (={groups})")
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.group, self.in_group = group, in_group or group
        if self.in_group not in (group, TRIVIAL):
            raise UserError(
                f"in_group (={self.in_group.name}) must be the output's group {group.name}, or trivial to lift"
            )
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.field: Field = feature_field(group)
        shape = self.weight_shape
        memory = torch.channels_last if len(shape) == 4 else torch.contiguous_format
        self.weight = nn.Parameter(torch.empty(shape, memory_format=memory))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        if (table := self.make_table()) is not None:
            self.register_buffer("places", table.places, persistent=False)
            self.register_buffer("sources", table.sources, persistent=False)
        self.reset_parameters()

    @property
    def bound(self) -> float:
        """`1/√fan_in`, what weights start within."""
        fan_in = self.in_channels // self.groups * len(self.in_group) * self.kernel_size**2
        return float(fan_in**-0.5)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The shape of the weight: here that of a bank, free in every entry."""
        size, channels = self.kernel_size, self.in_channels // self.groups
        return (self.out_channels * len(self.group), channels * len(self.in_group), size, size)

    @property
    def gain(self) -> float:
        """How much wider the weight starts than the bank that is made of it."""
        return 1.0

    def make_table(self) -> BankTable | None:
        """The table by which the bank is gathered from the weight; None for a bank that needs none."""
        return None

    @property
    def table(self) -> BankTable:
        """What `make_table` made, on the device of the weight."""
        return BankTable(self.places, self.sources)

    def reset_parameters(self, bound: float | None = None) -> None:
        """Draw weights and biases anew from torch's global generator.

        Args:
            bound: what the bank and the biases start within, uniformly; `bound` of the layer where None.
        """
        bound = self.bound if bound is None else bound
        nn.init.uniform_(self.weight, -bound * self.gain, bound * self.gain)
        if self.bias is not None:
            nn.init.uniform_(self.bias, -bound, bound)

    def bank(self) -> tuple[Tensor, Tensor | None]:
        """The finished filters and their bias.

        Returns:
            (out_channels·group, in_channels·in_group / groups, height, width), and (out_channels·group,) or None.
        """
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in_channels·in_group, height, width) -> (batch, out_channels·group, height, width)."""
        require_channels(features, self.in_channels, self.in_group)
        bank, bias = self.bank()
        return bank_conv2d(
            features,
            bank,
            bias,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            groups=self.groups,
        )

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return (
            f"{self.in_channels}, {self.out_channels}, {self.kernel_size}, group={self.group.name}, "
            f"in_group={self.in_group.name}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, groups={self.groups}, bias={self.bias is not None}"
        )
