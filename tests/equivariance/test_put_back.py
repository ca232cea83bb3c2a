"""What an audit puts back beside values: gradients, what asks for them, memory and the global generators."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.precision import evaluating
from tests.equivariance.small_network import Network


class Positioned(nn.Module):
    """Adds numbers for each position, which are zero at first, as those of position embeddings often are."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.positions = nn.Linear(3, 5), nn.Parameter(torch.zeros(1, 3, 8, 8))

    def added(self, dtype: torch.dtype) -> Tensor:
        return 2 * self.positions.to(dtype)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear((images + self.added(images.dtype)).relu().mean((-2, -1)))
        return logits


class Freezing(Positioned):
    def train(self, mode: bool = True) -> Freezing:
        super().train(mode)
        return self.requires_grad_(mode)


class Replacing(Positioned):
    """Has another parameter in evaluation mode."""

    def train(self, mode: bool = True) -> Replacing:
        super().train(mode)
        self.positions = nn.Parameter(self.positions.detach(), requires_grad=mode)
        return self


@pytest.mark.parametrize("kind", [Positioned, Freezing, Replacing])
def test_weights_that_freeze_in_evaluation_mode_are_drawn_anew_and_can_be_learnt_again(kind: type[Positioned]) -> None:
    network = kind()
    network.linear.bias.requires_grad = False
    before = {name: (id(one), one.requires_grad) for name, one in network.named_parameters()}
    assert audit(network, [8], channels=3).sizes[0].decision == "approximate"
    assert {name: (id(one), one.requires_grad) for name, one in network.named_parameters()} == before


def test_a_tensor_that_was_joined_to_a_graph_asks_for_no_gradient_again() -> None:
    network, kept = Network(), torch.ones(2)
    vars(network)["kept"] = kept
    with evaluating(network), torch.enable_grad():
        kept.mul_(torch.ones(2, requires_grad=True))
    assert (kept.requires_grad, kept.grad_fn) == (False, None)


class Adapting(Network):
    """Asks for the gradients of its weights in each pass."""

    def forward(self, images: Tensor) -> Tensor:
        with torch.enable_grad():
            logits = super().forward(images)
            logits.square().sum().backward()
        return logits.detach()


@pytest.mark.parametrize("given", [False, True])
def test_gradients_are_put_back_and_a_network_that_asks_for_them_is_measured(given: bool) -> None:
    network = Adapting()
    for one in network.parameters():
        one.grad = torch.ones_like(one) if given else None
    before = [one.grad for one in network.parameters()]
    assert audit(network, [8], channels=3).sizes[0].decision == "exact"
    after = [one.grad for one in network.parameters()]
    assert all(one is other for one, other in zip(before, after, strict=True))
    assert not given or all(bool((one == 1).all()) for one in after if one is not None)


def of_inference() -> Tensor:
    with torch.inference_mode():
        return torch.full((3,), float("nan"))


HELD: dict[str, Callable[[], Any]] = {
    "undefined numbers in one place": lambda: torch.full((1,), float("nan")).expand(3, 4),
    "undefined numbers of inference": of_inference,
    "nested": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]),
    "nested in a line": lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)], layout=torch.jagged),
    "masked": lambda: torch.masked.masked_tensor(torch.ones(2), torch.tensor([True, False])),
    "quantised": lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
    "conjugate": lambda: torch.ones(3, dtype=torch.complex64).conj(),
}


@pytest.mark.filterwarnings("ignore:The PyTorch API of", "ignore:.*quantize", "ignore:.*[Qq]uantized")
@pytest.mark.parametrize("make", HELD.values(), ids=HELD)
def test_tensors_of_every_kind_are_let_be(make: Callable[[], Any]) -> None:
    network = Network()
    vars(network)["held"] = make()
    assert audit(network, [8], channels=3).sizes[0].decision == "exact"


@pytest.mark.filterwarnings("ignore:The PyTorch API of")
def test_tensors_of_every_kind_are_put_back() -> None:
    expanded, inference = torch.zeros(1).expand(3, 4), torch.zeros(3)
    windows = torch.arange(4.0).as_strided((3, 2), (1, 1))
    masked = torch.masked.masked_tensor(torch.ones(2), torch.tensor([True, False]))
    nested, odd = torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), torch.zeros(3, dtype=torch.uint8)
    network = Network()
    vars(network).update(held=[expanded, inference, windows, masked, nested, odd])
    with evaluating(network):
        for one in (expanded[0, :1], inference, windows[0], masked.get_data(), nested.unbind()[0], odd):
            one.add_(1)
    assert (float(expanded.sum()), inference.tolist(), windows.tolist()) == (0, [0, 0, 0], [[0, 1], [1, 2], [2, 3]])
    assert (masked.get_data().tolist(), nested.unbind()[0].tolist(), odd.tolist()) == ([1, 1], [1, 1], [0, 0, 0])


def test_memory_that_was_given_away_is_put_back() -> None:
    class Releasing(Network):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("kept", torch.arange(4.0))
            self.array = np.arange(4.0)

        def forward(self, images: Tensor) -> Tensor:
            logits = super().forward(images)
            self.get_buffer("kept").untyped_storage().resize_(0)
            self.array.resize(6, refcheck=False)
            return logits

    network = Releasing()
    view = network.get_buffer("kept")[2:]
    assert audit(network, [8], channels=3).sizes[0].decision == "exact"
    assert (network.get_buffer("kept").tolist(), view.tolist(), network.array.tolist()) == (
        [0, 1, 2, 3],
        [2, 3],
        [0, 1, 2, 3],
    )


@lru_cache
def grid(size: int) -> Tensor:
    """Numbers in the default arithmetic, kept by the file of the network."""
    return torch.linspace(0, 1, size).mean()


class Caching(Positioned):
    """Keeps what it makes of its weights, and numbers made in the arithmetic of the first call."""

    added = lru_cache(Positioned.added)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) * grid(images.shape[-1])


def test_what_was_kept_of_other_weights_or_in_another_arithmetic_is_not_left() -> None:
    grid.cache_clear()
    network = Caching()
    assert audit(network, [8], channels=3).sizes[0].decision == "approximate"
    assert (grid.cache_info().currsize, Caching.added.cache_info().currsize) == (0, 0)
    assert network(torch.rand(2, 3, 8, 8)).dtype == torch.float32


HELPER = ModuleType("helper_of_a_network")
"""A module of somebody's own, as the file of a network imports it."""


def test_caches_of_a_module_that_the_networks_file_imports_are_emptied() -> None:
    @lru_cache
    def window(shape: torch.Size) -> Tensor:
        """Numbers in the default arithmetic; only the imported module has it."""
        return torch.linspace(0, 1, shape[-1]).mean().expand(shape)

    class Windowed(Network):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images * HELPER.window(images.shape))

    vars(HELPER)["window"] = window
    network = Windowed()
    audit(network, [8], channels=3)
    assert all(network(torch.rand(batch, 3, 8, 8)).dtype == torch.float32 for batch in (1, 2, 3, 4, 128))


def test_what_the_audit_imports_draws_no_number_of_the_processs() -> None:
    code = (
        "import random, numpy, torch\n"
        "from gcnnbench.equivariance.sample import sample_images\n"
        "def states(): return random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state().tolist()\n"
        "before = states()\n"
        "sample_images(1, 1, 8)\n"
        "assert states() == before"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def calls_of_python(run: Callable[[], object]) -> int:
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        run()
    finally:
        sys.setprofile(None)
    return count


def test_a_long_list_of_names_is_not_walked_through_in_python() -> None:
    def calls(names: list[str]) -> int:
        network = Network()
        vars(network).update(names=names, numbers=dict.fromkeys(names, 0.5))

        def run() -> None:
            with evaluating(network):
                pass

        run()
        return calls_of_python(run)

    # A collection of garbage may fall into either run and call a few functions of its own.
    assert calls([f"class {number}" for number in range(1000)]) < calls(["class 0"]) + 100


def test_a_long_list_is_put_back() -> None:
    network = Network()
    names = [str(random.Random(0).random()) for _ in range(1000)]
    vars(network)["names"] = held = list(names)
    with evaluating(network):
        held[500] = "another"
        held.append("more")
    assert held == names
