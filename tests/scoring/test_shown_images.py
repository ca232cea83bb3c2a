"""Moved test images lie in memory as unmoved ones do, so that nothing but their pixels tells how they were moved."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from gcnnbench.cards.registry import Registry
from gcnnbench.data.images import prepare
from gcnnbench.data.registered import load_dataset
from gcnnbench.equivariance.errors import measure
from gcnnbench.nn.groups import P4, P4M
from gcnnbench.scoring.conditions import EvaluationState, evaluate


class InMemory(nn.Module):
    """Reads its images from memory, row by row, by `as_strided`, an operator that submissions may call."""

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        self.head = head
        self.strides: set[tuple[int, ...]] = set()

    def forward(self, images: Tensor) -> Tensor:
        self.strides.add(images.stride())
        scores: Tensor = self.head(images.as_strided(images.shape, torch.empty(images.shape).stride()))
        return scores


def test_memory_does_not_tell_how_an_image_was_moved() -> None:
    registry = Registry.load()
    part = load_dataset(registry, "digits", Path("unused"))["all"].select(slice(40))
    card = registry.benchmark("quickstart")
    images = prepare(part, card.input, 12)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        honest = nn.Sequential(nn.Flatten(), nn.Linear(144, 10))
    network, found, seen = InMemory(honest), EvaluationState(), EvaluationState()
    protocol = card.evaluation.model_copy(update={"group": "p4m"})
    for _ in evaluate(network, images, protocol, P4M, 1, found):
        pass
    for _ in evaluate(honest, images, protocol, P4M, 1, seen):
        pass
    assert len(network.strides) == 1
    for name, logits in seen.logits.items():
        assert torch.equal(found.logits[name], logits), name
    shown = images.batch(slice(8))
    ours, theirs = (measure(one, shown, P4.elements).invariance_error for one in (network, honest))
    assert ours == theirs
