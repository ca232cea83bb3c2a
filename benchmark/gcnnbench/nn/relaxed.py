"""Relaxed group convolutions: several banks mixed by weights that may differ between the elements of the group."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gcnnbench.errors import UserError
from gcnnbench.nn.bank import BankConv, BankTable, in_channels_last, per_element
from gcnnbench.nn.convolution import bank_table, filter_bank


class RelaxedGroupConv(BankConv):
    """`K[g] = Σ_l m_l(g) (g·ψ_l)`, as one bank; the penalty is `α Σ_{l,g,r} |m_l(g) − m_l(gr)|` over generators r.

    With m the same for all g it is a group convolution whose filter is `Σ_l m_l ψ_l`; it starts with m = 1/L. The ψ_l
    start √L times as wide as the filters of `GroupConv`, so that their mean starts as wide.
    Source: Wang, Walters & Yu 2022 (arXiv 2201.11969), equation 6 for groups, written from the formula.

    Args:
        *sizes: as for `GroupConv`.
        banks: L, the filters that are mixed.
        strength: α.
        **geometry: as for `GroupConv`.

    Raises:
        UserError: `banks` is below one, the strength is negative, or a size does not fit.
    """

    roles: ClassVar = {"mixing": "degree"}

    def __init__(self, *sizes: int, banks: int, strength: float, **geometry: Any) -> None:
        if banks < 1 or strength < 0:
            raise UserError(f"banks (={banks}) must be at least 1 and strength (={strength}) must not be negative")
        self.banks, self.strength = banks, strength
        super().__init__(*sizes, **geometry)
        steps = [[self.group.index(g * r) for g in self.group.elements] for r in self.group.generators]
        self.register_buffer("steps", torch.tensor(steps, dtype=torch.int64), persistent=False)
        self.mixing = nn.Parameter(torch.full((banks, len(self.group)), 1 / banks))

    def make_table(self) -> BankTable:
        """Where the filters under every element stand in the weight."""
        return bank_table(self.kernel_size, self.in_channels // self.groups, self.group, self.in_group)

    @property
    def gain(self) -> float:
        """√banks."""
        return float(self.banks**0.5)

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """(banks·out_channels, in_channels / groups, in_group, height, width)."""
        channels, size = self.in_channels // self.groups, self.kernel_size
        return (self.banks * self.out_channels, channels, len(self.in_group), size, size)

    def bank(self) -> tuple[Tensor, Tensor | None]:
        """The banks under every element, mixed for each element by its own weights."""
        every = filter_bank(self.weight, self.group, self.in_group, self.table)
        by_bank = every.unflatten(0, (self.banks, self.out_channels, len(self.group)))
        shares = self.mixing[:, None, :, None, None, None]
        mixed = by_bank[0] * shares[0]
        for bank in range(1, self.banks):
            mixed = mixed + by_bank[bank] * shares[bank]
        return in_channels_last(mixed.flatten(0, 1)), per_element(self.bias, self.group)

    def penalty(self) -> Tensor:
        """`α Σ_{l,g,r} |m_l(g) − m_l(gr)|`."""
        neighbours = self.mixing[:, self.get_buffer("steps")]
        return self.strength * (self.mixing.unsqueeze(1) - neighbours).abs().sum()

    def degree(self) -> dict[str, Tensor]:
        """The mixing weights (banks, group), and the widest spread of one bank's over the group."""
        return {"mixing": self.mixing, "spread": (self.mixing.amax(1) - self.mixing.amin(1)).max()}

    @torch.no_grad()
    def symmetric(self) -> None:
        """Mix every element alike, by the mean weights."""
        self.mixing.copy_(self.mixing.mean(1, keepdim=True).expand_as(self.mixing))

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{super().extra_repr()}, banks={self.banks}, strength={self.strength}"
