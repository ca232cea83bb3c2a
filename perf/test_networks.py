"""P4CNN against bare convolutions and e2cnn, in one run: pytest-benchmark prints the ratios in brackets.

    tox -e perf

`floor` is a network of plain `conv2d` with leaf filter banks of the expanded size and unshared batch norm, in
channels_last memory; `nchw` the same in PyTorch's default layout. Optimiser excluded, dropout left out.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn

from benchmark.nn.export import to_plain
from benchmark.nn.inference import for_scoring

SIZE, BATCH = 28, 64


def built(name: str, **hyperparameters: int | float) -> nn.Module:
    module = import_module(f"benchmark.models.{name}.model")
    network: nn.Module = module.build(size=SIZE, channels=3, classes=10, **hyperparameters)
    return network


def floor(layout: torch.memory_format) -> nn.Module:
    """The same convolutions and norms with leaf parameters: what group layers cannot beat but by sharing."""
    network = to_plain(built("p4cnn", planes=10, dropout=0.0))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight = nn.Parameter(layer.weight.detach().contiguous(memory_format=layout))
    return network


CANDIDATES: dict[str, Callable[[], nn.Module]] = {
    "floor": lambda: floor(torch.channels_last),
    "nchw": lambda: floor(torch.contiguous_format),
    "p4cnn": lambda: built("p4cnn", planes=10, dropout=0.0),
    "c4cnn-e2cnn": lambda: built("c4cnn-e2cnn", planes=10, dropout=0.0),
}


@pytest.fixture
def images() -> Tensor:
    torch.set_num_threads(1)
    return torch.rand(BATCH, 3, SIZE, SIZE)


@pytest.mark.benchmark(group="training: forward and backward")
@pytest.mark.parametrize("name", CANDIDATES)
def test_training_step(benchmark: BenchmarkFixture, images: Tensor, name: str) -> None:
    network = CANDIDATES[name]().train()
    labels = torch.arange(BATCH) % 10

    def step() -> Tensor:
        network.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(network(images), labels)
        loss.backward()
        return loss

    assert benchmark(step).isfinite()


@pytest.mark.benchmark(group="evaluation")
@pytest.mark.parametrize("name", [*CANDIDATES, "p4cnn, norms folded"])
def test_evaluation(benchmark: BenchmarkFixture, images: Tensor, name: str) -> None:
    network = CANDIDATES[name.partition(",")[0]]().eval()
    network = for_scoring(network) if "folded" in name else network
    with torch.inference_mode():
        assert benchmark(network, images).isfinite().all()
