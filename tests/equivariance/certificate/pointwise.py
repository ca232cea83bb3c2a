"""A network that looks at every pixel alone but for something in the middle, and its audit at one size."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gcnnbench.equivariance.size_audit import SizeAudit, audit_size
from gcnnbench.nn.groups import P4, Group
from tests.equivariance.audited import seeded

Something = Callable[[Tensor], Tensor]
"""From features (batch, 4, height, width) to (batch, 4), or to feature maps, whose mean is taken."""


class Pointwise(nn.Module):
    """A convolution of one pixel, something, and a linear layer."""

    def __init__(self, something: Something) -> None:
        super().__init__()
        self.conv, self.linear, self.something = nn.Conv2d(1, 4, 1), nn.Linear(4, 3), something

    def forward(self, images: Tensor) -> Tensor:
        features = self.something(self.conv(images))
        logits: Tensor = self.linear(features if features.ndim == 2 else features.relu().mean((-2, -1)))
        return logits


def numbers(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1)) + 0.5


def audited(something: Something, size: int = 8, group: Group = P4) -> SizeAudit:
    network = seeded(lambda: Pointwise(something))
    return audit_size(lambda _: network, size, group, 1)


def verdicts(something: Something, size: int = 8, group: Group = P4) -> tuple[str, str]:
    """Of the certificate and the decision."""
    row = audited(something, size, group)
    assert not row.disagreement, row.reason
    return row.certificate, row.decision
