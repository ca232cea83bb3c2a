"""Residual pathway priors: an equivariant convolution and a free one, added, the free one held small."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from gcnnbench.errors import UserError
from gcnnbench.nn.bank import in_channels_last
from gcnnbench.nn.convolution import GroupConv


class ResidualPathwayConv(GroupConv):
    """`y = (W_eq + W_free) f`, as one bank; the penalty is `a‖W_eq‖² + b‖W_free‖²`.

    This is the share of the maximum posterior's loss that Gaussian priors of precision 2aN and 2bN have, N the number
    of images: wide on the equivariant weights, tight on the free ones. With W_free = 0 the layer is `GroupConv` to
    the bit. Under an element g, `‖gK − K‖ ≤ 2‖W_free‖`. Biases are shared over the group.
    Source: Finzi, Benton & Wilson 2021 (arXiv 2112.01388), equation 3, written from the formula.

    Args:
        *sizes: as for `GroupConv`.
        equivariant_strength: a.
        free_strength: b.
        scale: what the free weights start as, times the start of `GroupConv`.
        **geometry: as for `GroupConv`.

    Raises:
        UserError: a strength or the scale is negative, or a size does not fit.
    """

    roles: ClassVar = {"free": "free"}

    def __init__(
        self, *sizes: int, equivariant_strength: float, free_strength: float, scale: float = 0.01, **geometry: Any
    ) -> None:
        for name, value in (
            ("equivariant_strength", equivariant_strength),
            ("free_strength", free_strength),
            ("scale", scale),
        ):
            if value < 0:
                raise UserError(f"{name} (={value}) must not be negative")
        super().__init__(*sizes, **geometry)
        self.equivariant_strength, self.free_strength, self.scale = equivariant_strength, free_strength, scale
        free = torch.zeros(super().bank()[0].shape)
        self.free = nn.Parameter(free.contiguous(memory_format=torch.channels_last))
        self._reset_free(self.bound)

    def reset_parameters(self, bound: float | None = None) -> None:
        """Draw both paths and the biases anew, the free one `scale` times as wide."""
        super().reset_parameters(bound)
        if "free" in self._parameters:
            self._reset_free(self.bound if bound is None else bound)

    def _reset_free(self, bound: float) -> None:
        if self.scale:
            nn.init.uniform_(self.free, -self.scale * bound, self.scale * bound)

    def bank(self) -> tuple[Tensor, Tensor | None]:
        """The sum of the two paths' filters."""
        bank, bias = super().bank()
        return in_channels_last(bank + self.free), bias

    def penalty(self) -> Tensor:
        """`a‖W_eq‖² + b‖W_free‖²`, W_eq counted once and not once for each element."""
        return self.equivariant_strength * self.weight.square().sum() + self.free_strength * self.free.square().sum()

    def degree(self) -> dict[str, Tensor]:
        """The free path's share, `‖W_free‖ / (‖W_eq‖ + ‖W_free‖)`, as banks."""
        equivariant, free = super().bank()[0].norm(), self.free.norm()
        return {"free_share": free / (equivariant + free)}

    @torch.no_grad()
    def symmetric(self) -> None:
        """Switch the free path off: the layer is a group convolution."""
        self.free.zero_()
