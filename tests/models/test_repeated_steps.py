"""Every entry of models/ trains alike: twice on the CPU, and a step on a GPU as on the CPU."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

from gcnnbench.device import arithmetic
from gcnnbench.rewriting.folded import for_scoring
from tests.models.entries import NAMES, WRAPPERS, built, small, smallest


@pytest.mark.parametrize("name", NAMES)
def test_initialisation_repeats(name: str) -> None:
    size = max(16, smallest(name))
    one, other = built(name, size).state_dict(), built(name, size).state_dict()
    assert list(one) == list(other)
    assert all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("name", NAMES)
def test_training_repeats_to_the_bit(name: str) -> None:
    states, size = [], small(name)
    for _ in range(2):
        network = built(name, size).float()
        optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(4)
            for _ in range(3):
                images, labels = torch.rand(4, 3, size, size), torch.randint(10, (4,))
                optimiser.zero_grad()
                nn.functional.cross_entropy(network(images), labels).backward()
                optimiser.step()
        states.append(network.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


REFUSED_ON_CUDA = re.compile(
    r"(Adaptive(Avg|Max)Pool[23]D|(Avg|Max)Pool3D\w*|Fractional\w+|MaxUnpool\w+|Upsample(Linear|Bilinear|Bicubic|Trilinear)"
    r"\w*|(Reflection|Replication)Pad\w+|NllLoss2D|CtcLoss|GridSampler\w+)Backward\d"
)
"""Gradients that stop training on CUDA, where algorithms must be deterministic; from torch's documentation of that."""


def refused(network: nn.Module, images: Tensor) -> list[str]:
    """The gradients in a training step that CUDA would refuse."""
    steps, seen = [network(images).sum().grad_fn], set[Any]()
    while steps:
        step = steps.pop()
        seen.add(step)
        steps += [earlier for earlier, _ in step.next_functions if earlier is not None and earlier not in seen]
    names = {step.name() for step in seen}
    assert names & {"ConvolutionBackward0", "MkldnnConvolutionBackward0"}
    return [name for name in names if REFUSED_ON_CUDA.fullmatch(name)]


@pytest.mark.parametrize("name", NAMES)
def test_a_training_step_has_nothing_that_deterministic_cuda_refuses(name: str) -> None:
    size = small(name)
    assert not refused(built(name, size), torch.rand(2, 3, size, size).double())


@pytest.mark.parametrize("pool", [nn.AdaptiveMaxPool2d(1), nn.AdaptiveAvgPool2d(2), nn.ReflectionPad2d(1)], ids=str)
def test_the_sweep_would_see_what_deterministic_cuda_refuses(pool: nn.Module) -> None:
    assert refused(nn.Sequential(nn.Conv2d(3, 2, 3), pool, nn.Flatten()), torch.rand(2, 3, 9, 9))


class DrawnOnTheCpu(TorchDispatchMode):
    """Whatever an operation draws at random it draws on the CPU, and its results are brought to where they belong."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if torch.Tag.nondeterministic_seeded not in operation.tags:
            return operation(*args, **kwargs)
        tensors = [value for value in tree_leaves((args, kwargs)) if isinstance(value, Tensor)]
        if operation._schema.is_mutable and all(value.is_meta for value in tensors):
            return operation(*args, **kwargs)  # nothing is drawn: a layer that is made only to be given its weights
        assert not operation._schema.is_mutable, f"{operation} would draw into a copy"
        device = tensors[0].device if tensors else kwargs["device"]
        args, kwargs = tree_map_only(Tensor, Tensor.cpu, (args, kwargs))
        drawn = operation(*args, **tree_map_only(torch.device, lambda _: torch.device("cpu"), kwargs))
        return tree_map_only(Tensor, lambda value: value.to(device), drawn)


def one_step(network: nn.Module, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """The gradients of one training step and the scores after it, brought to the CPU; `network` is not changed.

    What the network draws is the same in every call and on every device.
    """
    stepped = copy.deepcopy(network)
    with arithmetic(images.device, "fp32", 1), torch.random.fork_rng(devices=[]), DrawnOnTheCpu():
        torch.manual_seed(4)
        nn.functional.cross_entropy(stepped.train()(images), labels).backward()
        scores = for_scoring(stepped)(images).detach()
    found = {key: value.grad for key, value in stepped.named_parameters() if value.grad is not None}
    return {key: value.cpu() for key, value in {**found, "scores": scores}.items()}


@pytest.mark.parametrize("name", [*WRAPPERS, "gc-p4cnn"])
def test_steps_that_are_compared_draw_the_same(name: str) -> None:
    size = small(name)
    network, images = built(name, size), torch.rand(2, 3, size, size).double()
    first, again = (one_step(network, images, torch.tensor([0, 3])) for _ in range(2))
    torch.testing.assert_close(first, again, rtol=0, atol=0)


def test_what_is_drawn_for_another_device_is_drawn_on_the_cpu() -> None:
    torch.manual_seed(4)
    expected = torch.rand(3), torch.rand(2)
    torch.manual_seed(4)
    with DrawnOnTheCpu():
        elsewhere, here = torch.rand(3, device="meta"), torch.rand(2)
    assert elsewhere.is_meta
    assert torch.equal(here, expected[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", NAMES)
def test_a_training_step_on_a_gpu_is_that_of_the_cpu(name: str) -> None:
    size = small(name)
    network = built(name, size)
    for layer in network.modules():
        if "Dropout" in type(layer).__name__:
            vars(layer)["p"] = 0.0  # each kind of device has its own way from draws to masks
    images, labels = torch.rand(4, 3, size, size).double(), torch.tensor([0, 3, 1, 9])
    expected = one_step(network, images, labels)
    found = one_step(network.cuda(), images.cuda(), labels.cuda())
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-8)
