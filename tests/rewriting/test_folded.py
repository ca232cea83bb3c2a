"""Folding norms into convolutions changes nothing but rounding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gcnnbench.architectures.sequence import Network
from gcnnbench.cards.registry import Registry
from gcnnbench.nn.groups import P4M
from gcnnbench.nn.normalisation import GroupBatchNorm
from gcnnbench.nn.separable import Separable, SeparableGroupConv
from gcnnbench.rewriting.folded import FoldedConv, for_scoring


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


@pytest.mark.parametrize("entry", ["p4cnn@12", "p4cnn@13", "z2cnn@12", "p4mcnn@12", "p4cnn-subsample@13"])
def test_the_folded_network_is_the_network(registry: Registry, entry: str) -> None:
    torch.manual_seed(0)
    network = registry.build(entry, registry.benchmark("quickstart")).double()
    assert isinstance(network, Network)
    for name, values in network.named_buffers():
        if "running" in name:
            values.uniform_(0.5, 2.0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    size = int(entry.partition("@")[2])
    images = torch.randn(5, 1, size, size, dtype=torch.float64)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    folded = for_scoring(network)
    expected = network.eval()(images)
    assert sum(isinstance(layer, FoldedConv) for layer in folded.children()) == 7
    assert (folded(images) - expected).abs().max() < 1e-10 * expected.abs().max()
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


@torch.no_grad()
@pytest.mark.parametrize("separable", ["g", "gc"])
def test_a_separable_convolution_takes_its_norm_with_it(separable: Separable) -> None:
    layers: dict[str, nn.Module] = {}
    for number, (stride, padding) in enumerate([(1, 0), (2, 1)]):
        layers[f"conv{number}"] = SeparableGroupConv(
            3, 3, 3, group=P4M, separable=separable, stride=stride, padding=padding, bias=not number
        )
        layers[f"norm{number}"] = GroupBatchNorm(3, group=P4M)
        layers[f"relu{number}"] = nn.ReLU()
    network = Network(layers).double()
    for name, values in network.named_buffers():
        if "running" in name:
            values.uniform_(0.5, 2.0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.3)
    features = torch.randn(2, 24, 9, 9, dtype=torch.float64)
    folded, expected = for_scoring(network), network.eval()(features)
    assert sum(isinstance(layer, FoldedConv) for layer in folded.modules()) == 2
    assert not any(isinstance(layer, (GroupBatchNorm, SeparableGroupConv)) for layer in folded.modules())
    assert (folded(features) - expected).abs().max() < 1e-10 * expected.abs().max()


def test_a_norm_that_is_not_folded_would_be_seen(registry: Registry) -> None:
    network = registry.build("p4cnn@12", registry.benchmark("quickstart")).double()
    folded = for_scoring(network)
    network.get_buffer("norm1.running_mean").add_(0.5)  # after the fold: the copy keeps the old statistics
    images = torch.randn(2, 1, 12, 12, dtype=torch.float64)
    assert (folded(images) - network.eval()(images)).abs().max() > 1e-6


def test_a_strange_network_is_only_put_into_evaluation_mode() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).train()
    assert for_scoring(network) is network
    assert not network.training


def test_a_network_whose_eval_returns_nothing_is_scored() -> None:
    class Silent(nn.Sequential):
        def train(self, mode: bool = True) -> None:  # type: ignore[override]
            super().train(mode)

    network = Silent(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    assert for_scoring(network) is network
    assert not network.training
