"""Separable group convolutions: filters that are products of a pointwise and a spatial factor."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from gcnnbench.errors import UserError, require_at_least
from gcnnbench.nn.bank import BankTable, per_element
from gcnnbench.nn.convolution import bank_table, filter_bank, group_conv2d
from gcnnbench.nn.fields import Field, feature_field
from gcnnbench.nn.groups import TRIVIAL, Group

Separable = Literal["g", "gc"]
"""What shares a spatial kernel: the input's group axis, or its channels too."""


def separable_weight(pointwise: Tensor, spatial: Tensor) -> Tensor:
    """The weight of the group convolution that a separable one is, `W[o, i, h](u) = P[o, i, h] S[o, i](u)`.

    Args:
        pointwise: P, (out_channels, in_channels, group).
        spatial: S, (out_channels, in_channels, height, width), or (out_channels, 1, height, width) where all input
            channels share a kernel.

    Returns:
        (out_channels, in_channels, group, height, width).
    """
    return pointwise[..., None, None] * spatial.unsqueeze(2)


def depthwise_separable_group_conv2d(
    features: Tensor,
    pointwise: Tensor,
    spatial: Tensor,
    bias: Tensor | None,
    group: Group,
    *,
    stride: int = 1,
    padding: int = 0,
    tables: tuple[BankTable, BankTable] | None = None,
) -> Tensor:
    """The group convolution with `W[o, i, h](u) = P[o, i, h] S[o](u)`, in two steps of fewer products.

    `z[o, g](x) = Σ_{i,h} P[o, i, g⁻¹h] f[i, h](x)`, then `y[o, g](x) = Σ_u S[o](g⁻¹u) z[o, g](x + u) + b[o]`.

    Args:
        features: f, (batch, in_channels·group, height, width).
        pointwise: P, (out_channels, in_channels, group).
        spatial: S, (out_channels, 1, height, width).
        bias: b, (out_channels,), shared over the group, or None.
        group: the group of the input and the output.
        stride: the step of the sampling grid.
        padding: zeros added on every side.
        tables: those made by `bank_table` for the two steps, where they are at hand.

    Returns:
        (batch, out_channels·group, height, width).
    """
    first, second = tables or (None, None)
    mixed = group_conv2d(features, pointwise[..., None, None], None, group, group, table=first)
    kernels = filter_bank(spatial.unsqueeze(2), group, TRIVIAL, second)
    return conv2d(mixed, kernels, per_element(bias, group), stride, padding, groups=mixed.shape[1])


class SeparableGroupConv(nn.Module):
    """A separable group convolution, `W[o, i, h](u) = P[o, i, h] S[o, i](u)`; with `gc` S[o] is one for all i.

    Lengyel & van Gemert 2021 (arXiv 2106.04914); what each variant shares is as in the authors' code,
    Attila94/SepGroupPy: with `g` the spatial kernel is shared over the input's group axis, with `gc` over the group
    axis and the input channels. As there, both factors and the bias start uniform in
    ±1/√(in_channels · kernel_size²). The first layer has no group axis to share over: it is a lifting `GroupConv`.

    Args:
        in_channels: input channels, each of |group| feature maps.
        out_channels: output channels, each of |group| feature maps.
        kernel_size: the height and width of the kernel.
        group: the group of the input and the output.
        separable: `g` or `gc`.
        stride: the step of the sampling grid.
        padding: zeros added on every side.
        bias: whether there is a bias, one for each output channel.

    Raises:
        UserError: a size is not positive, or `separable` is neither.
    """

    dilation, groups = 1, 1

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        group: Group,
        separable: Separable,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> None:
        super().__init__()
        require_at_least(1, in_channels=in_channels, out_channels=out_channels, kernel_size=kernel_size, stride=stride)
        require_at_least(0, padding=padding)
        if separable not in ("g", "gc"):
            raise UserError(f"separable (={separable!r}) must be 'g' or 'gc'")
        self.in_channels, self.out_channels, self.kernel_size = in_channels, out_channels, kernel_size
        self.group, self.in_group, self.separable = group, group, separable
        self.stride, self.padding = stride, padding
        self.field: Field = feature_field(group)
        kernels = in_channels if separable == "g" else 1
        if separable == "g":
            self._keep("whole", bank_table(kernel_size, in_channels, group, group))
        else:
            self._keep("first", bank_table(1, in_channels, group, group))
            self._keep("second", bank_table(kernel_size, 1, group, TRIVIAL))
        self.pointwise = nn.Parameter(torch.empty(out_channels, in_channels, len(group)))
        self.spatial = nn.Parameter(torch.empty(out_channels, kernels, kernel_size, kernel_size))
        self.bias = nn.Parameter(torch.empty(out_channels)) if bias else None
        self.reset_parameters()

    def _keep(self, name: str, table: BankTable) -> None:
        """Keep a table on the device of the parameters, outside the state."""
        for part, values in table._asdict().items():
            self.register_buffer(f"{name}_{part}", values, persistent=False)

    def _table(self, name: str) -> BankTable:
        return BankTable(self.get_buffer(f"{name}_places"), self.get_buffer(f"{name}_sources"))

    def reset_parameters(self) -> None:
        """Draw both factors and the biases anew from torch's global generator."""
        bound = (self.in_channels * self.kernel_size**2) ** -0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    @property
    def weight(self) -> Tensor:
        """The weight of the equal `GroupConv`, (out_channels, in_channels, group, height, width)."""
        return separable_weight(self.pointwise, self.spatial)

    def bank(self) -> tuple[Tensor, Tensor | None]:
        """The filters of the equal ordinary convolution and their bias, as `BankConv.bank` gives them."""
        return filter_bank(self.weight, self.group, self.in_group), per_element(self.bias, self.group)

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in_channels·group, height, width) -> (batch, out_channels·group, height, width)."""
        if self.separable == "gc":
            return depthwise_separable_group_conv2d(
                features,
                self.pointwise,
                self.spatial,
                self.bias,
                self.group,
                stride=self.stride,
                padding=self.padding,
                tables=(self._table("first"), self._table("second")),
            )
        # in two steps `g` would need in_channels·out_channels·group intermediate maps
        return group_conv2d(
            features,
            self.weight,
            self.bias,
            self.group,
            self.group,
            stride=self.stride,
            padding=self.padding,
            table=self._table("whole"),
        )

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return (
            f"{self.in_channels}, {self.out_channels}, {self.kernel_size}, group={self.group.name}, "
            f"separable={self.separable!r}, stride={self.stride}, padding={self.padding}, "
            f"bias={self.bias is not None}"
        )
