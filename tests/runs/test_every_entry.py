"""Every model that a benchmark enters takes two steps of that benchmark's recipe, on its real images where they are."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from benchmark.cards.registry import Registry
from benchmark.cards.schema import BenchmarkCard, split_entry
from benchmark.data.files import faults
from benchmark.data.images import prepare
from benchmark.data.parts import Part
from benchmark.device import seeded
from benchmark.errors import UserError
from benchmark.training import optimiser_for

REGISTRY = Registry.load()
DATA = Path(os.environ.get("GCNNBENCH_DATA", "data"))
CPU = torch.device("cpu")
STAND_IN = {"pcam": "pcam-sample", "rotmnist": "rotmnist-generated", "cifar100": "cifar10"}
"""Data sets of one form, where the real one is not at hand."""
IMAGES = 2


def first_entries() -> dict[str, tuple[str, str]]:
    """For each model the first benchmark that enters it, and the entry with the fewest pixels there."""
    found: dict[str, tuple[str, str]] = {}
    for card in REGISTRY.benchmarks.values():
        for entry in sorted(card.entries, key=lambda entry: split_entry(entry)[1]):
            found.setdefault(split_entry(entry)[0], (card.name, entry))
    return found


ENTRIES = first_entries()
PARTS: dict[str, Part | None] = {}


def few_images(card: BenchmarkCard) -> Part | None:
    """The first images of the training part, of the data set itself or of its stand-in; null where neither is here."""
    for name in (card.dataset, STAND_IN.get(card.dataset, card.dataset)):
        if name not in PARTS:
            PARTS[name] = None
            if not faults(REGISTRY.dataset(name), DATA, content=False):
                try:
                    parts = REGISTRY.module("dataset", name).load(DATA)
                except UserError:  # the sample's files where PCam's should be, or the other way round
                    continue
                PARTS[name] = next(iter(parts.values())).select(slice(IMAGES))
        if (part := PARTS[name]) is not None:
            return part
    return None


def made_up(card: BenchmarkCard) -> Part:
    data = REGISTRY.dataset(card.dataset)
    pixels = torch.rand(IMAGES, data.channels, data.size, data.size, generator=torch.Generator().manual_seed(0))
    return Part((255 * pixels).to(torch.uint8), torch.arange(IMAGES) % data.classes)


def test_every_model_is_entered_somewhere() -> None:
    assert set(ENTRIES) == {name for name, card in REGISTRY.models.items() if card.trained_on is None}


@pytest.mark.parametrize("slug", ENTRIES)
def test_two_steps_of_the_recipe(slug: str, request: pytest.FixtureRequest) -> None:
    benchmark, entry = ENTRIES[slug]
    card = REGISTRY.benchmark(benchmark)
    real = few_images(card)
    request.node.user_properties.append(("images", "made up" if real is None else "real"))
    images = prepare(real or made_up(card), card.input, split_entry(entry)[1])
    with seeded(CPU, 0):
        network = REGISTRY.build(entry, card).train()
        optimiser = optimiser_for(network, card.recipe.optimiser)
        before = [parameter.clone() for parameter in network.parameters()]
        for _ in range(2):
            batch = images.augmented_batch(slice(None), card.recipe.augmentation, torch.Generator().manual_seed(0))
            logits = network(batch)
            assert logits.shape == (IMAGES, REGISTRY.dataset(card.dataset).classes)
            loss = F.cross_entropy(logits, images.labels)
            assert loss.isfinite()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
    moved = [bool((old != new).any()) for old, new in zip(before, network.parameters(), strict=True)]
    assert sum(moved) >= 0.9 * len(moved), "nearly every parameter moves; a bias before a norm may stand still"
    assert all(parameter.isfinite().all() for parameter in network.parameters())
