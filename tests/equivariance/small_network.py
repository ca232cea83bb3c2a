"""A small network that is exact by isotropic filters, for tests to spoil, and its audit at one size."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from gcnnbench.equivariance.size_audit import SizeAudit, audit_size
from gcnnbench.nn.groups import P4
from tests.equivariance.symmetric import isotropic


def conv(channels: int, out_channels: int) -> nn.Module:
    return isotropic(nn.Conv2d(channels, out_channels, 3, padding=1))


class Network(nn.Module):
    """Something with the images, two isotropic convolutions, and the mean over all pixels."""

    def __init__(self, first: Callable[[Tensor], Tensor] | None = None) -> None:
        super().__init__()
        self.first = first or (lambda images: images)
        self.body = nn.Sequential(conv(3, 6), nn.ReLU(), conv(6, 5))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.body(self.first(images)).mean((-2, -1))
        return logits


def made(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return make()


def audited(make: Callable[[], nn.Module], size: int = 12) -> SizeAudit:
    network = made(make)
    return audit_size(lambda _: network, size, P4, 3)
