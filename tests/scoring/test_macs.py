"""Multiply-accumulates: torch's own counter agrees, and the compiler stays out of it."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gcnnbench.cards.registry import Registry
from gcnnbench.scoring.macs import forward_macs


class Attention(nn.Module):
    """Products that are no layers of their own: einsum, attention, a batched product."""

    def forward(self, images: Tensor) -> Tensor:
        rows = images.flatten(2)
        mixed = torch.einsum("bci,bcj->bij", rows, rows)
        return nn.functional.scaled_dot_product_attention(mixed, mixed, mixed) @ mixed


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("which", ["p4cnn", "c4cnn-e2cnn", "attention", "grouped"])
def test_the_count_is_that_of_torch(which: str, training: bool) -> None:
    registry = Registry.load()
    quickstart = registry.benchmark("quickstart")
    if which == "attention":
        network: nn.Module = Attention()
    elif which == "grouped":
        network = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2), nn.Conv2d(4, 8, 3, groups=2), nn.ReLU())
    else:
        network = registry.build(f"{which}@12", quickstart)
    network.train(training)
    images = torch.rand(2, 1, 12, 12)
    with FlopCounterMode(display=False) as counter:
        network(images)
    assert forward_macs(network, images) == counter.get_total_flops() // 2 > 0


def test_counting_does_not_import_the_compiler() -> None:
    code = (
        "import sys, torch; from gcnnbench.scoring.macs import forward_macs; "
        "assert forward_macs(torch.nn.Linear(3, 2), torch.rand(5, 3)) == 30; assert 'torch._dynamo' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
