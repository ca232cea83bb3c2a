"""A free convolution averaged over the group by a learnt probability: uniform is equivariant, a point mass is free."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import log_softmax

from gcnnbench.errors import UserError
from gcnnbench.nn.bank import BankConv, BankTable, in_channels_last, per_element
from gcnnbench.nn.projection import orbit, orbit_table


class LikelihoodConv(BankConv):
    """`K = Σ_h λ(h) hW` with a free bank W and `λ = softmax(θ)` over the group; θ starts at zero, which is equivariant.

    With λ uniform K is the projection of W, with λ a point mass at the identity it is W. Under an element g,
    `‖gK − K‖ ≤ ‖W‖ · Σ_h |λ(g⁻¹h) − λ(h)|`. W starts |group| times as wide in variance as a bank, so that its mean over
    the group starts as wide as `GroupConv`. Biases are shared over the group.
    Source: Veefkind & Cesa 2024 (arXiv 2406.03946), section 4, for a finite group, written from the formula.

    Args:
        *sizes: as for `GroupConv`.
        **geometry: as for `GroupConv`.

    Raises:
        UserError: a size does not fit.
    """

    roles: ClassVar = {"theta": "degree"}

    def __init__(self, *sizes: int, **geometry: Any) -> None:
        super().__init__(*sizes, **geometry)
        self.theta = nn.Parameter(torch.zeros(len(self.group)))

    def make_table(self) -> BankTable:
        """Where the bank under every element stands in the bank."""
        return orbit_table(self.weight_shape, self.group, self.in_group)

    @property
    def gain(self) -> float:
        """√|group|."""
        return float(len(self.group) ** 0.5)

    @property
    def log_likelihood(self) -> Tensor:
        """`log λ`, (group,)."""
        return log_softmax(self.theta, 0)

    def bank(self) -> tuple[Tensor, Tensor | None]:
        """The mean of the bank's orbit under λ."""
        every = orbit(self.weight, self.group, self.in_group, self.table)
        likelihood = self.log_likelihood.exp()
        mean = every[0] * likelihood[0]
        for position in range(1, len(self.group)):
            mean = mean + every[position] * likelihood[position]
        return in_channels_last(mean), per_element(self.bias, self.group)

    def degree(self) -> dict[str, Tensor]:
        """λ (group,), and `max_g Σ_h |λ(g⁻¹h) − λ(h)|`: 0 exact, 2 free."""
        likelihood = self.log_likelihood.exp()
        moved = torch.stack(
            [likelihood[[self.group.index(g.inverse * h) for h in self.group.elements]] for g in self.group.elements]
        )
        return {"likelihood": likelihood, "variation": (moved - likelihood).abs().sum(1).max()}

    @torch.no_grad()
    def symmetric(self) -> None:
        """Make λ uniform."""
        self.theta.zero_()


def likelihood_penalty(layers: Sequence[LikelihoodConv], alignment: float, smoothness: float) -> Tensor:
    """`a Σ_l (max log λ_l − log λ_l[e]) + s/n · (KL(λ_1 ‖ uniform) + Σ_{l>1} KL(λ_l ‖ λ_{l−1}))` over n layers.

    The first term fixes the shift that W can absorb; the second lets no layer break more than the one before it did,
    which is not moved by it.

    Args:
        layers: in the order in which they run.
        alignment: a.
        smoothness: s.

    Raises:
        UserError: there is no layer, or a factor is negative.
    """
    if not layers or alignment < 0 or smoothness < 0:
        raise UserError(
            f"alignment (={alignment}) and smoothness (={smoothness}) must not be negative, "
            f"and there must be a layer (there are {len(layers)})"
        )
    logs = [layer.log_likelihood for layer in layers]
    aligned = torch.stack([log_l.max() - log_l[0] for log_l in logs]).sum()
    uniform = logs[0].new_full((len(layers[0].group),), -log(len(layers[0].group)))
    before = [uniform, *(log_l.detach() for log_l in logs[:-1])]
    apart = torch.stack([divergence(log_l, last) for log_l, last in zip(logs, before, strict=True)]).sum()
    return alignment * aligned + smoothness / len(layers) * apart


def divergence(log_p: Tensor, log_q: Tensor) -> Tensor:
    """The Kullback–Leibler divergence `KL(p ‖ q) = Σ p (log p − log q)` of two distributions given by their logs."""
    return (log_p.exp() * (log_p - log_q)).sum()
