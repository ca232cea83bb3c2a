"""The projection of a filter bank onto the equivariant ones, and how far a bank is from them.

A bank W maps features on which the group acts by ρ_in to features on which it acts by ρ_out. An element g carries it to
`(gW)[o, i](u) = W[g⁻¹o, g⁻¹i](g⁻¹u)`, where g moves o and i as the fields say and u as it moves pixels. The convolution
with W is equivariant where gW = W for all g. The mean over the group is the orthogonal projection onto these banks.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gcnnbench.nn.bank import BankTable
from gcnnbench.nn.convolution import gather
from gcnnbench.nn.fields import Field, feature_field
from gcnnbench.nn.groups import Element, Group


def transformed(bank: Tensor, element: Element, field: Field, in_field: Field) -> Tensor:
    """`gW`, by index-exact moves only.

    Args:
        bank: W, (out channels, in channels, height, width), all feature maps counted.
        element: g.
        field: how the output transforms.
        in_field: how the input transforms.

    Returns:
        A tensor of the same shape.
    """
    rows = torch.arange(len(bank), device=bank.device).view(1, -1, 1, 1)
    return in_field.act(bank, element)[field.act(rows, element).flatten()]


def orbit_table(shape: Sequence[int], group: Group, in_group: Group) -> BankTable:
    """Where the entries of `gW` stand in a bank of this shape for every g, and back; made once for each layer.

    Places count the bank in the order of channels_last memory, (out channels, height, width, in channels).
    """
    field, in_field = feature_field(group), feature_field(in_group)
    outs, ins, height, width = shape
    position = torch.arange(outs * ins * height * width).view(outs, height, width, ins).permute(0, 3, 1, 2)
    places = [transformed(position, g, field, in_field).permute(0, 2, 3, 1).flatten() for g in group.elements]
    sources = [place.argsort() + copy * position.numel() for copy, place in enumerate(places)]
    return BankTable(torch.cat(places), torch.cat(sources))


def orbit(bank: Tensor, group: Group, in_group: Group, table: BankTable | None = None) -> Tensor:
    """`gW` for every element g of the group.

    Args:
        bank: W, (out_channels·group, in_channels·in_group, height, width).
        group: the group of the output.
        in_group: the group of the input, `group` itself or the trivial one.
        table: the table made by `orbit_table` for these, where it is at hand.

    Returns:
        (group, out_channels·group, in_channels·in_group, height, width), each bank in channels_last memory.
    """
    outs, ins, height, width = bank.shape
    places, sources = table or orbit_table(bank.shape, group, in_group)
    flat = bank.permute(0, 2, 3, 1).reshape(1, -1)
    moved = gather(flat, places.to(bank.device), sources.to(bank.device))
    return moved.view(len(group), outs, height, width, ins).permute(0, 1, 4, 2, 3)


def project(bank: Tensor, group: Group, in_group: Group, table: BankTable | None = None) -> Tensor:
    """`ΠW = 1/|G| Σ_g gW`, the nearest equivariant bank, of the same shape; arguments as for `orbit`."""
    return orbit(bank, group, in_group, table).mean(0)


def deviation(bank: Tensor, group: Group, in_group: Group) -> float:
    """`√(Σ‖W − ΠW‖² / Σ‖W‖²)`, in [0, 1]: 0 for an equivariant bank, and 0 for the bank of zeros."""
    wide = bank.detach().double().cpu()
    norm = float(wide.norm())
    return float((wide - project(wide, group, in_group)).norm()) / norm if norm else 0.0
