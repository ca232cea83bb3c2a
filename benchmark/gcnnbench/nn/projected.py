"""A free convolution that is drawn towards the equivariant ones by a penalty on what the projection takes away."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gcnnbench.errors import UserError
from gcnnbench.nn.bank import BankConv, BankTable, in_channels_last, per_element
from gcnnbench.nn.projection import orbit_table, project


class FreeConv(BankConv):
    """The plain twin of a group convolution: the same features, a bank that is free in every entry, and no symmetry.

    Biases are shared over the group, as there. Arguments and errors are those of `GroupConv`.
    """

    def bank(self) -> tuple[Tensor, Tensor | None]:
        """The weight as it is."""
        return in_channels_last(self.weight), per_element(self.bias, self.group)


class ProjectedConv(FreeConv):
    """A free bank with the penalty `γ/2 · ‖W − ΠW‖²`; Π is that of `gcnnbench.nn.projection`.

    Under an element g, `‖gW − W‖ ≤ 2‖W − ΠW‖`.
    Source: arXiv 2601.05028, the idea; the paper's recipe and factor are not known here.

    Args:
        *sizes: as for `GroupConv`.
        strength: γ.
        **geometry: as for `GroupConv`.

    Raises:
        UserError: the strength is negative, or a size does not fit.
    """

    def __init__(self, *sizes: int, strength: float, **geometry: Any) -> None:
        if strength < 0:
            raise UserError(f"strength (={strength}) must not be negative")
        super().__init__(*sizes, **geometry)
        self.strength = strength

    def make_table(self) -> BankTable:
        """Where the bank under every element stands in the bank."""
        return orbit_table(self.weight_shape, self.group, self.in_group)

    def penalty(self) -> Tensor:
        """`γ/2 · ‖W − ΠW‖²`."""
        return self.strength / 2 * (self.weight - self._projected()).square().sum()

    def degree(self) -> dict[str, Tensor]:
        """Nothing in units of its own: how far the bank is from its projection is read from every bank."""
        return {}

    @torch.no_grad()
    def symmetric(self) -> None:
        """Project the bank."""
        self.weight.copy_(self._projected())

    def _projected(self) -> Tensor:
        return project(self.weight, self.group, self.in_group, self.table)

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{super().extra_repr()}, strength={self.strength}"
