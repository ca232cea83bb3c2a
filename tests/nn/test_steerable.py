"""e2cnn's layers between plain tensors: exact in float64, and free of the traps of its evaluation mode."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch
from e2cnn import nn as enn
from e2cnn.group.groups import cyclicgroup
from scipy import sparse
from torch import Tensor, nn

from gcnnbench.architectures.sequence import Network
from gcnnbench.nn.fields import CyclicField, ScalarField
from gcnnbench.nn.groups import P4
from gcnnbench.nn.steerable import (
    SteerableConv,
    field_of,
    regular_type,
    scalar_type,
    steerable_block,
    steerable_classifier,
)


@pytest.fixture(autouse=True)
def _single_precision(double_precision_and_a_seed: None) -> None:
    """e2cnn builds in single precision only."""
    torch.set_default_dtype(torch.float32)


def small(order: int = 4) -> Network:
    """Two blocks and a classifier."""
    image, regular = scalar_type(order, 1), regular_type(order, 2)
    layers = {
        **steerable_block(1, image, regular, dropout=0.2),
        **steerable_block(2, regular, regular, 4, padding=0),
        **steerable_classifier(regular, 3),
    }
    return Network(layers)


def train(network: nn.Module, steps: int = 3) -> None:
    """A few steps on random images, so that weights and running statistics leave their start."""
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(steps):
        optimiser.zero_grad()
        nn.functional.cross_entropy(network(torch.randn(8, 1, 8, 8)), torch.randint(3, (8,))).backward()
        optimiser.step()


def test_what_scipy_warns_of_in_e2cnn_reaches_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    # scipy 1.18 does so for block_diag; groups that were built before would not call it again
    block_diag, warned = sparse.block_diag, []

    def switching(*arguments: Any, **options: Any) -> Any:
        warned.append("block_diag")
        warnings.warn("`block_diag` is switching to the sparse array interface.", DeprecationWarning, stacklevel=2)
        return block_diag(*arguments, **options)

    monkeypatch.setattr(sparse, "block_diag", switching)
    monkeypatch.setattr(cyclicgroup, "_cached_group_instances", {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network = small()
        network(torch.randn(2, 1, 8, 8)).sum().backward()
    assert warned


@pytest.mark.parametrize("order", [4, 8])
@pytest.mark.parametrize("kernel_size", [3, 4, 5])
@pytest.mark.parametrize("lifting", [True, False])
@torch.no_grad()
def test_convolutions_are_exact_in_double_precision(order: int, kernel_size: int, lifting: bool) -> None:
    in_type = scalar_type(order, 3) if lifting else regular_type(order, 2)
    layer = SteerableConv(in_type, regular_type(order, 2), kernel_size, padding=1).double()
    before, after = field_of(in_type), CyclicField(order)
    features = torch.randn(2, in_type.size, 8, 8, dtype=torch.float64)
    output = layer(features)
    for g in P4.elements:
        difference = after.act(output, g) - layer(before.act(features, g))
        assert difference.abs().max() < 1e-13 * output.abs().max()


@torch.no_grad()
def test_equals_e2cnns_own_layer() -> None:
    in_type, out_type = regular_type(4, 2), regular_type(4, 3)
    layer = SteerableConv(in_type, out_type, 3, padding=1)
    with pytest.warns(UserWarning, match="indexing with dtype torch.uint8"):
        theirs = enn.R2Conv(in_type, out_type, 3, padding=1, recompute=True)
    theirs.weights.copy_(layer.module.weights)
    theirs.bias.copy_(layer.module.bias)
    features = torch.randn(2, 8, 8, 8)
    expected = theirs(enn.GeometricTensor(features, in_type)).tensor
    torch.testing.assert_close(layer(features), expected)


@pytest.mark.parametrize("lifting", [True, False])
def test_first_weights_are_those_that_e2cnn_draws(lifting: bool) -> None:
    in_type, out_type = scalar_type(8, 3) if lifting else regular_type(8, 3), regular_type(8, 2)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        ours = SteerableConv(in_type, out_type, 5).module
        torch.manual_seed(5)
        expected = torch.empty_like(ours.weights)
        enn.init.generalized_he_init(expected, ours.basisexpansion)
    assert torch.equal(ours.weights, expected)


@torch.no_grad()
def test_stride_takes_every_other_pixel_and_a_field_without_bias_adds_nothing() -> None:
    regular = regular_type(4, 2)
    whole, strided = (SteerableConv(regular, regular, 3, stride=s, padding=1, bias=False) for s in (1, 2))
    strided.load_state_dict(whole.state_dict())
    features = torch.randn(2, 8, 9, 9)
    torch.testing.assert_close(strided(features), whole(features)[:, :, ::2, ::2])
    assert not strided(torch.zeros(1, 8, 9, 9)).any()


def test_a_cutoff_leaves_out_the_higher_frequencies() -> None:
    def highest(most: float) -> int:
        layer = SteerableConv(regular_type(8, 1), regular_type(8, 1), 5, cutoff=lambda radius: most * radius)
        return max(abs(int(basis["frequency"])) for basis in layer.module.basisexpansion.get_basis_info())

    assert (highest(1), highest(3)) == (2, 6)


@pytest.mark.parametrize("order", [4, 8])
def test_a_state_loads_whatever_was_evaluated_before(order: int) -> None:
    trained, images = small(order), torch.randn(4, 1, 8, 8)
    train(trained)
    state = copy.deepcopy(trained.state_dict())
    fresh = small(order).eval()
    other: Tensor = fresh(images)
    fresh.load_state_dict(state)
    assert torch.equal(fresh(images), trained.eval()(images))
    assert not torch.equal(fresh(images), other)
    assert list(trained.state_dict()) == list(state), "evaluation adds nothing to the state"


def test_an_edit_in_evaluation_mode_counts_at_once() -> None:
    network, images = small().eval(), torch.randn(4, 1, 8, 8)
    before: Tensor = network(images)
    with torch.no_grad():
        network.get_parameter("conv2.module.weights").add_(0.5)
    assert (network(images) - before).abs().max() > 1e-3


def test_one_networks_precision_leaves_the_others_alone() -> None:
    one, other = small(), small()
    one.double()
    assert one.eval()(torch.randn(2, 1, 8, 8, dtype=torch.float64)).dtype == torch.float64
    assert other(torch.randn(2, 1, 8, 8)).dtype == torch.float32


def test_modes_reach_the_layers_and_the_state_stays_small() -> None:
    network = small()
    assert all(child.training for child in network.children())
    network.eval()
    assert not any(child.training for child in network.children())
    assert not any("basis" in name or "expansion" in name for name in network.state_dict())


def test_copies_are_independent() -> None:
    network, images = small().eval(), torch.randn(2, 1, 8, 8)
    twin = copy.deepcopy(network)
    before: Tensor = network(images)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.add_(0.1)
    assert torch.equal(network(images), before)


def test_layers_say_how_they_transform() -> None:
    network = small(8)
    fields = {name: getattr(child, "field", None) for name, child in network.named_children()}
    assert fields["conv1"] == fields["norm1"] == fields["relu1"] == fields["dropout1"] == CyclicField(8)
    assert fields["coset"] == ScalarField()
