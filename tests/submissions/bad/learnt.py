"""An honest network whose symmetry is learnt: an equivariant path and a free one, the mean over the image, linear."""

from __future__ import annotations

from torch import Tensor, nn

from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.pathway import ResidualPathwayConv
from gcnnbench.nn.pooling import CosetPool


class Learnt(nn.Module):
    """(batch, channels, size, size) -> logits (batch, classes)."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        strengths = {"equivariant_strength": 1e-4, "free_strength": 1e-2}
        self.conv = ResidualPathwayConv(channels, 4, 3, group=P4, in_group=TRIVIAL, padding=1, scale=1.0, **strengths)
        self.coset = CosetPool(P4)
        self.linear = nn.Linear(4, classes)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.linear(self.coset(self.conv(images).relu()).mean((2, 3)))
        return out


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    """The network at any size."""
    del size
    return Learnt(channels, classes)
