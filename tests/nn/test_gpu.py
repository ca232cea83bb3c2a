"""On a GPU the layers give what they give on a CPU, in the same memory layout, and repeat to the bit."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.architectures.sequence import Network, classifier, conv_block
from gcnnbench.device import arithmetic
from gcnnbench.errors import UserError
from gcnnbench.nn.dropout import dropout
from gcnnbench.nn.groups import P4, P4M, TRIVIAL, Group
from gcnnbench.nn.subsampling import EquivariantMaxPool

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def small(group: Group) -> Network:
    return Network(
        {
            **conv_block(1, 2, 3, group=group, in_group=TRIVIAL),
            "pool": EquivariantMaxPool(group),
            **conv_block(2, 3, 4, 2, group=group, padding=0),
            **classifier(4, 5, group=group),
        }
    )


def step(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """Gradients and running statistics after one backward pass, on the CPU."""
    network.zero_grad()
    network(images).square().sum().backward()
    gradients = {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}
    return {name: values.cpu() for name, values in {**gradients, **dict(network.named_buffers())}.items()}


@pytest.mark.parametrize("group", [TRIVIAL, P4, P4M], ids=lambda group: group.name)
def test_one_training_step_is_that_of_the_cpu(group: Group) -> None:
    here = small(group)
    there = copy.deepcopy(here).cuda()
    images = torch.randn(4, 2, 9, 9)
    expected, found = step(here, images), step(there, images.cuda())
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(there.eval()(images.cuda()).cpu(), here.eval()(images), rtol=1e-10, atol=1e-10)


def test_gradients_repeat_to_the_bit_in_the_arithmetic_of_cells() -> None:
    network, images = small(P4).float().cuda(), torch.randn(64, 2, 9, 9, dtype=torch.float32, device="cuda")
    state = copy.deepcopy(network.state_dict())
    with arithmetic(torch.device("cuda"), "fp32", 1):
        first = step(network, images)
        network.load_state_dict(state)
        second = step(network, images)
    assert [name for name in first if not torch.equal(first[name], second[name])] == []


def test_features_are_channels_last_from_birth() -> None:
    network = small(P4).float().cuda()
    features = torch.randn(4, 2, 9, 9, dtype=torch.float32, device="cuda")
    for layer in [layer for name, layer in network.named_children() if name.startswith(("conv", "norm", "relu"))][:3]:
        features = layer(features)
        assert features.is_contiguous(memory_format=torch.channels_last)


def test_dropout_keeps_its_rate_and_refuses_a_generator() -> None:
    features = torch.ones(1 << 20, device="cuda")
    assert float((dropout(features, 0.3) > 0).double().mean()) == pytest.approx(0.7, abs=0.01)
    with pytest.raises(UserError, match="works on the CPU only"):
        dropout(features, 0.3, torch.Generator())
