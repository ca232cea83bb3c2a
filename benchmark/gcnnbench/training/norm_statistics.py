"""Running statistics of batch normalisation estimated anew over training batches, instead of followed in training."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def norms_of(network: nn.Module) -> list[nn.Module]:
    """The layers of a network that keep running statistics: PyTorch's norms, this suite's and e2cnn's."""
    return [module for module in network.modules() if isinstance(getattr(module, "running_mean", None), Tensor)]


@torch.no_grad()
def re_estimate(network: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the running statistics of every norm to their mean over these batches, in training mode.

    `r_k = r_{k−1} + (s_k − r_{k−1}) / k` for the statistics s_k of batch k, so each batch counts alike, as in
    Cohen & Welling's "fine-tuning" (tscohen/gconv_experiments, MNIST_ROT/train.py). Parameters stay as they are.

    Args:
        network: its norms keep `running_mean`, `running_var` and `momentum`, as PyTorch's and this suite's do.
        batches: images (batch, channels, size, size).
    """
    norms = norms_of(network)
    momenta = [norm.momentum for norm in norms]
    network.train()
    try:
        for k, images in enumerate(batches, start=1):
            for norm in norms:
                norm.momentum = 1 / k  # type: ignore[assignment]
            network(images)
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
