"""How fast a network trains and scores on this machine, measured on a few steps with made-up images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from gcnnbench.cards.augmentation import Fill
from gcnnbench.cards.base import split_entry
from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.evaluation import Evaluation
from gcnnbench.cards.recipe import Recipe
from gcnnbench.data.images import Images, prepare
from gcnnbench.data.parts import Part
from gcnnbench.device import arithmetic, choose, scoring_batch, seeded, synchronise
from gcnnbench.nn.groups import group
from gcnnbench.probes import read
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import recorder
from gcnnbench.training.loop import train
from gcnnbench.training.phases import between_epochs
from gcnnbench.training.task import Task, TrainingState

STEPS, EPOCHS = 3, 6
"""Steps that are timed together, and at most how often. The first time warms up; the median of the others is believed,
as other processes interrupt some of them."""
PROBE = 8
PATIENCE = 5.0
"""Seconds that steps with larger batches than `PROBE` may take; where whole ones would take longer, they are as large
as there is time for. A small network's step takes most of its time on the host, whatever the batch."""


@dataclass(frozen=True)
class Speed:
    """Seconds to train on one image and to score one, of a network with so many multiply-accumulates an image.

    `probes`: the seconds that a benchmark's probes take after each epoch; `between_epochs`: those in which its layers
    learn something between epochs, over a whole training.
    """

    train: float
    test: float
    macs: int
    probes: float = 0.0
    between_epochs: float = 0.0

    def of(self, macs: int) -> Speed:
        """The speed of a network of another size, as if all multiply-accumulates took the same time."""
        more = macs / self.macs
        return Speed(self.train * more, self.test * more, macs, self.probes * more, self.between_epochs * more)


class _AskedError(Exception):
    """A module asks for images."""


def bare_speed(cell: Cell) -> Speed:
    """The speed of one ordinary 3×3 convolution of 64 channels at 32 pixels, forward and backward."""
    device = choose(cell.device)
    with arithmetic(device, "fp32", cell.threads):
        images = torch.rand(PROBE, 64, 32, 32, device=device, requires_grad=True)
        weight = torch.rand(64, 64, 3, 3, device=device, requires_grad=True)

        def forward_and_whole() -> tuple[float, float]:
            start = time.perf_counter()
            scored = conv2d(images, weight, padding=1)
            synchronise(device)
            middle = time.perf_counter()
            scored.sum().backward()
            synchronise(device)
            return middle - start, time.perf_counter() - start

        forward_and_whole()  # warms up
        forward, whole = forward_and_whole()
    return Speed(whole / PROBE, forward / PROBE, 64 * 64 * 9 * 32**2)


def measure(cell: Cell, macs: int, patience: float) -> tuple[Speed, int]:
    """The speed of a cell's network, from a few steps really made, and the bytes of its weights.

    Args:
        cell: benchmark, entry and device.
        macs: multiply-accumulates of one image.
        patience: seconds that steps with more than `PROBE` images may take.

    Raises:
        UserError: the network cannot be built.
    """
    card, device = cell.card, choose(cell.device)
    dataset = cell.registry.dataset(card.dataset)
    with seeded(device, 0), arithmetic(device, "fp32", cell.threads):
        size = split_entry(cell.entry)[1]
        network = cell.registry.build(cell.entry, card).to(device)

        def shown(images: int) -> Images:
            return prepare(made_up(dataset, images), card.input, size, device)

        def step(batch: int) -> float:
            """Seconds of a step with so many images."""
            update = {"epochs": EPOCHS, "batch_size": batch, "drop_last": False}
            recipe, began = card.recipe.model_copy(update=update), time.perf_counter()
            task = Task("estimate", 0, recipe, shown(STEPS * batch), None, device, cell.threads, graph=recorder(cell))
            epochs: list[float] = []
            for state in train(network, task, TrainingState()):
                epochs.append(state.history[-1]["seconds"])
                if len(epochs) > 1 and time.perf_counter() - began > patience / 4:
                    break
            return median(epochs[1:]) / STEPS

        whole = card.recipe.batch_size
        few = min(PROBE, whole)
        small = step(few)
        more = min(whole, int(few * patience / (2 * STEPS * small)))
        if more >= 2 * few:
            larger = step(more)
            training = larger + (whole - more) * max(0.0, larger - small) / (more - few)
        else:
            training = small * whole / few
        scored = max(1, min(scoring_batch(device, size), int(few * patience / small)))
        scoring = _scoring_seconds(network, shown(scored), card.evaluation.curve.fill, device)
        probes = 0.0
        if card.evaluation.probes:
            probes = _probing_seconds(network, card.evaluation, shown(card.evaluation.equivariance_images))
        learning = _learning_seconds(network, shown(few), card.recipe) if between_epochs(network) else 0.0
    weights = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    return Speed(training / whole, scoring, macs, probes, learning), weights


def made_up(dataset: DatasetCard, images: int) -> Part:
    """Random images of a data set's form; only their shape and type matter here."""
    shape = (images, dataset.channels, dataset.size, dataset.size)
    pixels: Tensor = torch.randint(256, shape, dtype=torch.uint8) if dataset.pixels == "uint8" else torch.rand(shape)
    return Part(pixels, torch.arange(images) % dataset.classes)


@torch.inference_mode()
def _scoring_seconds(network: nn.Module, images: Images, fill: Fill, device: torch.device) -> float:
    """Seconds to rotate and score one image, as a cell does it: of a whole batch, from the faster of two."""
    network = for_scoring(network)
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        network(images.rotated_batch(slice(None), 30.0, fill))
        synchronise(device)
        seconds.append(time.perf_counter() - start)
    return min(seconds) / len(images)


def _probing_seconds(network: nn.Module, protocol: Evaluation, images: Images) -> float:
    """Seconds that a benchmark's probes take after an epoch."""
    start = time.perf_counter()
    read(protocol.probes or (), network, images.batch(slice(None)), group(protocol.group).point)
    return time.perf_counter() - start


def _learning_seconds(network: nn.Module, images: Images, recipe: Recipe) -> float:
    """Seconds that modules take over a training to learn something between epochs, in the epochs in which they do.

    Each time is scaled as if a module looked at as many images as a batch has.
    """
    found = 0.0
    for learn in between_epochs(network):
        epochs = [epoch for epoch in range(1, recipe.epochs + 1) if _looks_at_images(learn, epoch)]
        if epochs:
            start = time.perf_counter()
            learn(epochs[0], [(images.batch(slice(None)), images.labels)])
            synchronise(images.labels.device)
            found += len(epochs) * (time.perf_counter() - start) * recipe.batch_size / len(images)
    return found


def _looks_at_images(learn: Callable[[int, Iterator[tuple[Tensor, Tensor]]], None], epoch: int) -> bool:
    """Whether a module learns from images after this epoch; it is stopped as it asks for the first of them."""

    def ask(_: None) -> tuple[Tensor, Tensor]:
        raise _AskedError

    try:
        learn(epoch, map(ask, (None,)))
    except _AskedError:
        return True
    return False
