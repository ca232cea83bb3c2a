"""Every network trains two steps on real images: its benchmark's where they are at hand, else the embedded digits."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.benchmark_card import Input
from gcnnbench.cards.entries import build_network
from gcnnbench.cards.registry import Registry
from gcnnbench.data.files import faults
from gcnnbench.data.images import prepare
from gcnnbench.data.parts import Part
from gcnnbench.data.registered import load_dataset
from gcnnbench.errors import UserError

REGISTRY = Registry.load()
FOLDER = Path(os.environ.get("GCNNBENCH_DATA", "data"))
GREY = Input(channels=3, resize="pillow-bilinear", mean=(0.3, 0.3, 0.3), std=(0.4, 0.4, 0.4))
LARGEST = 1 << 30
"""Bytes on disk of a data set that a test may read."""


class Source(NamedTuple):
    """Where a network's images come from, and how it gets them."""

    dataset: str
    input: Input
    classes: int


def source_of(slug: str) -> Source:
    """The first benchmark that a network enters and whose data can be read here, quickly; else the digits."""
    for benchmark in REGISTRY.benchmarks.values():
        card = REGISTRY.dataset(benchmark.dataset)
        entered = slug in {split_entry(name)[0] for name in benchmark.entries}
        if entered and card.disk_bytes <= LARGEST and not faults(card, FOLDER, content=False):
            resized = benchmark.input.model_copy(update={"resize": "pillow-bilinear"})
            return Source(card.name, resized, card.classes)
    return Source("digits", GREY, REGISTRY.dataset("digits").classes)


@cache
def first_images(dataset: str) -> Part:
    """Three images of a data set: a norm over two values has no gradient, and some networks end in a pixel."""
    return next(iter(load_dataset(REGISTRY, dataset, FOLDER).values())).select(slice(3))


def network_and_size(slug: str, channels: int, classes: int) -> tuple[nn.Module, int]:
    """The network as its card has it, for the smallest input from 8 pixels on that it takes."""
    for size in range(8, 128):
        try:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                made = build_network(
                    REGISTRY.module("model", slug),
                    slug,
                    size=size,
                    channels=channels,
                    classes=classes,
                    hyperparameters=REGISTRY.model(slug).hyperparameters,
                )
        except UserError:
            continue
        return made, size
    raise AssertionError(f"{slug} takes no size from 8 to 127")


def taken_away(parameter: str) -> bool:
    """Whether a parameter only shifts channels by a number each, which the batch norms behind it take away."""
    parts = parameter.split(".")
    return parts[-1] == "bias" and any(part.startswith(("conv", "stem", "shortcut")) for part in parts)


@pytest.mark.parametrize("slug", REGISTRY.models)
def test_two_steps_on_real_images_move_every_parameter(slug: str) -> None:
    source = source_of(slug)
    network, size = network_and_size(slug, source.input.channels, source.classes)
    images = prepare(first_images(source.dataset), source.input, size)
    shown, labels = images.batch(slice(None)), images.labels
    optimiser, losses = torch.optim.SGD(network.parameters(), lr=0.01), []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        for _ in range(2):
            optimiser.zero_grad()
            logits: Tensor = network(shown)
            assert logits.shape == (3, source.classes)
            loss = nn.functional.cross_entropy(logits, labels)
            loss.backward()
            losses.append(float(loss.detach()))
            for name, parameter in network.named_parameters():
                assert parameter.grad is not None, name
                assert bool(parameter.grad.isfinite().all()), name
                assert taken_away(name) or parameter.grad.abs().max() > 1e-8, name
            optimiser.step()
    assert losses[0] != losses[1]
    assert torch.tensor(losses).isfinite().all()
