"""The DenseNets of Veeling et al. begin as their code does, draw for draw, and have its norms."""

from __future__ import annotations

from math import sqrt

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.architectures.initialisation import keras_he_normal
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.normalisation import GroupBatchNorm
from tests.models.entries import built

ORDERS = {"z2-densenet": 1, "p4-densenet": 4, "p4m-densenet": 8}


@pytest.fixture(params=ORDERS)
def slug(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def network(slug: str) -> nn.Module:
    return built(slug, 96, 3, 2, whole=True)


def over_deviation(slug: str, network: nn.Module) -> Tensor:
    """All weights of convolutions, each over √(2/fan-in), the group in the fan-in of all but the first."""
    found = []
    for name, layer in network.named_modules():
        if isinstance(layer, GroupConv):
            fan_in = layer.in_channels * layer.kernel_size**2 * (1 if name == "conv" else ORDERS[slug])
            found.append(layer.weight.detach().flatten() / sqrt(2 / fan_in))
            assert layer.bias is None
    assert len(found) == 1 + 5 + 4, "the first convolution, the blocks' and the transitions'"
    return torch.cat(found)


def test_filters_are_normal_and_cut_at_two_deviations(slug: str, network: nn.Module) -> None:
    values = over_deviation(slug, network)
    off = 5 / sqrt(len(values))
    assert abs(float(values.mean())) < off
    assert float(values.square().mean()) == pytest.approx(0.7737, abs=off), "1 − 4 φ(2) / (2 Φ(2) − 1)"
    assert 1.99 < float(values.abs().max()) <= 2 + 1e-6
    for quantile, share in ((0.5, 0.4012), (1.0, 0.7152), (1.5, 0.9077)):
        assert float((values.abs() < quantile).double().mean()) == pytest.approx(share, abs=off), quantile


def test_every_layer_has_its_own_fan_in(slug: str, network: nn.Module) -> None:
    for name, layer in network.named_modules():
        if isinstance(layer, GroupConv):
            fan_in = layer.in_channels * layer.kernel_size**2 * (1 if name == "conv" else ORDERS[slug])
            found, off = float(layer.weight.detach().std()), 5 / sqrt(2 * layer.weight.numel())
            assert found == pytest.approx(0.8796 * sqrt(2 / fan_in), rel=off), name


def test_the_last_layer_is_uniform_within_glorots_bound_and_has_no_bias(network: nn.Module) -> None:
    linear = network.get_submodule("linear")
    assert isinstance(linear, nn.Linear)
    bound = sqrt(6 / (linear.in_features + linear.out_features))
    sizes = linear.weight.detach().abs() / bound
    assert 0.9 < float(sizes.max()) <= 1 + 1e-6
    assert float(sizes.mean()) == pytest.approx(0.5, abs=5 / sqrt(12 * sizes.numel()))
    assert not linear.bias.any()


def test_norms_have_the_authors_epsilon_and_memory(network: nn.Module) -> None:
    norms = [layer for layer in network.modules() if isinstance(layer, GroupBatchNorm)]
    assert [(norm.eps, norm.momentum) for norm in norms] == [(1.1e-5, 0.01)] * 10


def test_a_bias_is_zero_and_other_layers_are_left_alone() -> None:
    torch.manual_seed(0)
    conv, linear, norm = GroupConv(3, 50, 3, group=P4, in_group=TRIVIAL), nn.Linear(200, 50), nn.BatchNorm2d(3)
    nn.init.ones_(norm.bias)
    for layer in (conv, linear, norm):
        layer.apply(keras_he_normal)
    assert not conv.get_parameter("bias").any()
    assert not linear.bias.any()
    assert norm.bias.all()
    assert float(conv.weight.detach().abs().max()) == pytest.approx(2 * sqrt(2 / 27), rel=0.01)
    assert float(linear.weight.detach().abs().max()) == pytest.approx(sqrt(6 / 250), rel=0.01)
