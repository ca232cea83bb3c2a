"""Running statistics estimated anew: their mean over the batches, whatever they were, and nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.nn.groups import P4
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.training.norm_statistics import re_estimate


def batches() -> Iterator[Tensor]:
    draws = torch.Generator().manual_seed(0)
    for size in (6, 6, 3):
        yield torch.randn(size, 8, 3, 3, generator=draws, dtype=torch.float64) * size + size


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(8), GroupBatchNorm(2, group=P4)], ids=["plain", "group"])
def test_statistics_are_the_mean_over_batches(norm: nn.BatchNorm2d | GroupBatchNorm) -> None:
    network = nn.Sequential(norm.double(), nn.Flatten()).eval()
    assert isinstance(norm.running_mean, Tensor)
    assert isinstance(norm.running_var, Tensor)
    norm.running_mean.fill_(1000.0)
    before = {name: value.clone() for name, value in network.named_parameters()}
    re_estimate(network, batches())
    shaped = [batch.unflatten(1, (len(norm.running_mean), -1)) for batch in batches()]
    means = torch.stack([batch.mean((0, 2, 3, 4)) for batch in shaped])
    variances = torch.stack([batch.var((0, 2, 3, 4)) for batch in shaped])
    assert torch.allclose(norm.running_mean, means.mean(0), rtol=1e-12)
    assert torch.allclose(norm.running_var, variances.mean(0), rtol=1e-12)
    assert norm.momentum == 0.1
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
