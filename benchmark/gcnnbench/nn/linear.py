"""A linear layer whose output is scaled, so that its weights learn at a rate of their own."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F


class ScaledLinear(nn.Linear):
    """The linear layer `y = scale · W x`, whose weights start as those of `nn.Linear`.

    Args:
        in_features: input channels.
        out_features: output channels.
        scale: a constant.
    """

    def __init__(self, in_features: int, out_features: int, scale: float) -> None:
        super().__init__(in_features, out_features, bias=False)
        self.scale = scale

    def forward(self, features: Tensor) -> Tensor:
        """(batch, in_features) -> (batch, out_features)."""
        return F.linear(features, self.weight) * self.scale

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"{self.in_features}, {self.out_features}, scale={self.scale}"
