"""What a network changes as it runs is put back, wherever it keeps it; and random numbers of every kind are noticed."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.precision import evaluating
from gcnnbench.equivariance.restoring import generator_states
from tests.equivariance.small_network import Network


class Keeping(Network):
    """Changes in each pass all that it keeps."""

    def __init__(self) -> None:
        super().__init__()
        self.average = torch.zeros(5)
        self.kept: dict[str, list[Tensor]] = {"few": [torch.zeros(2)]}
        self.last, self.seen = deque([0], maxlen=2), {0}
        self.array = np.zeros(3)
        self.generators = (torch.Generator().manual_seed(1), np.random.default_rng(1), random.Random(1))

    def forward(self, images: Tensor) -> Tensor:
        logits = super().forward(images)
        self.average.mul_(0.9).add_(logits.detach().mean(0))
        self.kept["few"][0].add_(1)
        self.kept["few"].append(logits)
        self.kept[str(len(self.kept))] = []
        self.last.append(len(self.kept))
        self.seen.add(len(self.kept))
        self.array += 1
        torchs, numpys, pythons = self.generators
        return logits + 0 * (torch.rand((), generator=torchs) + numpys.random() + pythons.random())

    def state(self) -> object:
        torchs, numpys, pythons = self.generators
        return (
            self.average.tolist(),
            {name: [tensor.tolist() for tensor in tensors] for name, tensors in self.kept.items()},
            (list(self.last), self.seen.copy(), self.array.tolist()),
            (torchs.get_state().tolist(), numpys.bit_generator.state, pythons.getstate()),
        )


def of_the_process() -> object:
    numpys = np.random.get_state(legacy=False)  # noqa: NPY002
    return torch.get_rng_state().tolist(), numpys["state"]["key"].tolist(), random.getstate()


def test_whatever_a_network_keeps_is_put_back() -> None:
    network = Keeping()
    before, outside = network.state(), of_the_process()
    with evaluating(network):
        network(torch.rand(2, 3, 8, 8))
        np.random.rand()  # noqa: NPY002
        assert network.state() != before
    assert (network.state(), of_the_process()) == (before, outside)
    assert audit(network, [8], channels=3).sizes[0].decision == "exact"
    assert network.state() == before


def test_a_network_that_draws_nothing_changes_no_generator() -> None:
    network = Keeping()
    before = generator_states(network)
    network.body(torch.ones(2, 3, 8, 8))
    assert generator_states(network) == before
    torch.rand(())
    assert generator_states(network) != before


class Drawing(Network):
    """Adds noise from a generator."""

    def __init__(self, draw: Callable[[Drawing], float]) -> None:
        super().__init__()
        self.draw = draw
        self.torchs, self.numpys, self.pythons = torch.Generator(), np.random.default_rng(1), random.Random(1)

    def forward(self, images: Tensor) -> Tensor:
        return super().forward(images) + 0.01 * self.draw(self)


@pytest.mark.parametrize(
    "draw",
    [
        lambda _: np.random.randn(),  # noqa: NPY002
        lambda _: random.random(),
        lambda own: float(torch.rand((), generator=own.torchs)),
        lambda own: own.numpys.random(),
        lambda own: own.pythons.random(),
    ],
    ids=["numpy", "Python", "its own of torch", "its own of numpy", "its own of Python"],
)
def test_random_numbers_of_any_generator_are_noticed(draw: Callable[[Drawing], float]) -> None:
    (row,) = audit(Drawing(draw), [8], channels=3).sizes
    assert (row.decision, row.disagreement) == ("unknown", False)
    assert "draws random numbers in evaluation mode" in str(row.reason)


def test_tensors_without_contents_and_sparse_ones_are_let_be() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    vars(network).update(
        empty=torch.empty(2, device="meta"), sparse=torch.eye(3).to_sparse(), system=random.SystemRandom()
    )
    assert audit(network, [8], channels=1).sizes[0].decision == "exact"
