"""The rectifier that overwrites its input in training, and only there."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.architectures.sequence import Network, conv_block
from gcnnbench.nn.activation import ReLU
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.rewriting.plain import to_plain


def test_training_overwrites_the_input_and_evaluation_keeps_it() -> None:
    given = torch.randn(3, 4)
    kept = given.clone()
    assert torch.equal(ReLU().eval()(given), kept.relu())
    assert torch.equal(given, kept)
    assert ReLU().train()(given).data_ptr() == given.data_ptr()
    assert torch.equal(given, kept.relu())


def test_gradients_are_pytorchs_to_the_bit() -> None:
    torch.manual_seed(0)
    network = Network({**conv_block(1, 2, 3, group=P4, in_group=TRIVIAL), **conv_block(2, 3, 2, group=P4)}).train()
    usual = copy.deepcopy(network)
    usual.relu1, usual.relu2 = nn.ReLU(), nn.ReLU()
    images = torch.randn(4, 2, 7, 7)
    for one in (network, usual):
        one(images).square().sum().backward()
    for ours, theirs in zip(network.parameters(), usual.parameters(), strict=True):
        assert ours.grad is not None
        assert theirs.grad is not None
        assert torch.equal(ours.grad, theirs.grad)


def test_what_is_kept_of_a_norm_in_evaluation_is_not_rectified() -> None:
    network = Network(conv_block(1, 2, 3, group=P4, in_group=TRIVIAL)).eval()
    kept: list[Tensor] = []
    network.get_submodule("norm1").register_forward_hook(lambda _layer, _given, features: kept.append(features))
    network(torch.randn(4, 2, 7, 7))
    assert bool((kept[0] < 0).any())


def test_a_layer_that_needs_its_output_is_refused_not_computed_wrongly() -> None:
    layers = nn.Sequential(nn.Sigmoid(), ReLU()).train()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        layers(torch.randn(3, requires_grad=True) - 1).sum().backward()


def test_the_plain_copy_is_pytorchs() -> None:
    (layer,) = to_plain(nn.Sequential(ReLU())).children()
    assert type(layer) is nn.ReLU
