"""Ordinary convolutions with filters that no quarter turn or mirror changes, and a brute force that shares no code.

A network of such layers is equivariant wherever its sampling is. The oracle runs a copy in float64 with weights and
norm statistics of its own, and compares the outputs of an image and of its turned copies.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize


class Isotropic(nn.Module):
    """The mean of a square filter over the eight moves of the square."""

    def forward(self, weight: Tensor) -> Tensor:
        turned = [weight.rot90(turns, (-2, -1)) for turns in range(4)]
        moved = [*turned, *(one.flip(-1) for one in turned)]
        mean: Tensor = torch.stack(moved).sum(0) / 8
        return mean


def isotropic(network: nn.Module) -> nn.Module:
    """The same network with isotropic filters, whatever values they are given."""
    for module in network.modules():
        square = isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)) and len(set(module.kernel_size)) == 1
        if square and module.kernel_size != (1, 1):
            parametrize.register_parametrization(module, "weight", Isotropic())
    return network


def brute_force(network: nn.Module, size: int, channels: int = 3, seed: int = 1) -> tuple[float, float]:
    """The largest relative errors of the output under quarter turns: with the weights as given, and with others.

    The other weights are the given ones with noise of a fifth of their size, norm statistics those of the images.
    """
    generator = torch.Generator().manual_seed(seed)
    images = torch.rand(3, channels, size, size, generator=generator, dtype=torch.float64)
    given = copy.deepcopy(network).double().eval()
    other = copy.deepcopy(given)
    with torch.no_grad():
        for parameter in other.parameters():
            if parameter.requires_grad:
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
                size_of = parameter.square().mean().sqrt()
                parameter.add_(0.2 * (size_of if size_of > 0 else 0.1) * noise)
        norms = [one for one in other.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
        for norm in norms:
            norm.train().momentum = 1.0
        other(images.clone())
        other.eval()
    return error(given, images), error(other, images)


@torch.no_grad()
def error(network: nn.Module, images: Tensor) -> float:
    """The largest `rms(f(g x) − f(x)) / rms(f(x) − mean f)` over the quarter turns."""
    upright: Tensor = network(images.clone())
    spread = (upright - upright.mean(0)).square().mean().sqrt()
    turned = [network(images.rot90(turns, (-2, -1)).clone()) for turns in (1, 2, 3)]
    return max(float((one - upright).square().mean().sqrt() / spread) for one in turned)
