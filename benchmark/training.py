"""Training by a fixed recipe: a loop whose every state can be kept and taken up again with the same bits."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import ConstantLR, LRScheduler, MultiStepLR, OneCycleLR, StepLR

from benchmark.cards import schema
from benchmark.data.images import Images
from benchmark.data.streams import derive, generator
from benchmark.device import arithmetic, seeded, synchronise
from benchmark.nn.inference import for_scoring

EVALUATION_BATCH = 128


class DivergedError(Exception):
    """Training left the finite numbers; the cell fails and says where."""


@dataclass
class TrainingState:
    """All that training knows after a number of whole epochs; plain tensors, numbers and strings throughout."""

    epochs_done: int = 0
    network: dict[str, Tensor] = field(default_factory=dict)
    optimiser: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0
    images_seen: int = 0
    tested_epoch: int = 0
    tested_correct: int = -1
    tested_network: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """What is trained on what: the recipe, the images on the device, and the names that the random streams hang on."""

    benchmark: str
    seed: int
    recipe: schema.Recipe
    train: Images
    validation: Images | None
    device: torch.device
    threads: int


def optimiser_for(network: nn.Module, card: schema.Adam | schema.SGD) -> Optimizer:
    """The recipe's optimiser over the network's parameters; weight decay is part of the gradient, as in PyTorch."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    if isinstance(card, schema.Adam):
        return Adam(parameters, lr=card.learning_rate, weight_decay=card.weight_decay)
    return SGD(
        parameters,
        lr=card.learning_rate,
        momentum=card.momentum,
        nesterov=card.nesterov,
        weight_decay=card.weight_decay,
    )


def schedule_for(optimiser: Optimizer, recipe: schema.Recipe, steps_per_epoch: int) -> LRScheduler:
    """The recipe's learning-rate schedule."""
    card = recipe.schedule
    if isinstance(card, schema.StepDecay):
        return StepLR(optimiser, card.every, card.factor)
    if isinstance(card, schema.MultiStepDecay):
        return MultiStepLR(optimiser, list(card.epochs), card.factor)
    if isinstance(card, schema.OneCycle):
        peak = recipe.optimiser.learning_rate
        return OneCycleLR(optimiser, peak, epochs=recipe.epochs, steps_per_epoch=steps_per_epoch)
    return ConstantLR(optimiser, factor=1.0, total_iters=0)


@torch.inference_mode()
def correct_predictions(network: nn.Module, images: Images) -> int:
    """The number of images that the network, in evaluation mode, puts into their class."""
    network = for_scoring(network)
    correct = torch.zeros((), dtype=torch.int64, device=images.labels.device)
    for start in range(0, len(images), EVALUATION_BATCH):
        batch = slice(start, start + EVALUATION_BATCH)
        correct += (network(images.batch(batch)).argmax(1) == images.labels[batch]).sum()
    return int(correct)


def train(network: nn.Module, task: Task, state: TrainingState) -> Iterator[TrainingState]:
    """Train for the recipe's epochs, bringing `state` up to date and yielding it after each.

    A state of which some epochs are done is gone on from, with the same bits as if never interrupted.

    The order of the images, the augmentation and the network's own draws (dropout) of an epoch come from streams
    derived from benchmark, seed, stream and epoch: so no generator's state is carried, and seeds pair across entries.

    Raises:
        DivergedError: the loss of an epoch is not finite.
    """
    recipe, images = task.recipe, task.train
    batches = len(images) // recipe.batch_size if recipe.drop_last else -(-len(images) // recipe.batch_size)
    optimiser = optimiser_for(network, recipe.optimiser)
    schedule = schedule_for(optimiser, recipe, batches)
    every_step = isinstance(recipe.schedule, schema.OneCycle)
    if state.epochs_done:
        network.train()
        network.load_state_dict(state.network)
        optimiser.load_state_dict(state.optimiser)
        schedule.load_state_dict(state.schedule)
    for epoch in range(state.epochs_done, recipe.epochs):
        start = time.perf_counter()
        learning_rate = float(optimiser.param_groups[0]["lr"])
        loss, correct, seen = _epoch(network, task, epoch, batches, optimiser, schedule if every_step else None)
        if not every_step:
            schedule.step()
        with arithmetic(task.device, "fp32", task.threads):
            validated = correct_predictions(network, task.validation) if task.validation else 0
        synchronise(task.device)
        seconds = time.perf_counter() - start
        state.history.append(
            {
                "epoch": epoch + 1,
                "learning_rate": learning_rate,
                "train_loss": loss / seen,
                "train_accuracy": correct / seen,
                "validation_accuracy": validated / len(task.validation) if task.validation else None,
                "seconds": seconds,
            }
        )
        state.epochs_done, state.steps = epoch + 1, state.steps + batches
        state.images_seen += seen
        network.train()  # in evaluation mode e2cnn's state_dict holds expanded filters, which are no parameters
        state.network, state.optimiser = network.state_dict(), optimiser.state_dict()
        state.schedule = schedule.state_dict()
        if recipe.tested_model == "last" or validated > state.tested_correct:
            state.tested_epoch, state.tested_correct = epoch + 1, validated
            state.tested_network = {name: value.clone() for name, value in network.state_dict().items()}
        yield state


def _epoch(
    network: nn.Module,
    task: Task,
    epoch: int,
    batches: int,
    optimiser: Optimizer,
    every_step: LRScheduler | None,
) -> tuple[float, int, int]:
    """One pass over the training images: the sum of its losses, the number put into their class, and of all."""
    recipe, images, device = task.recipe, task.train, task.device
    order = torch.randperm(len(images), generator=generator(task.benchmark, task.seed, "order", epoch)).to(device)
    draws = generator(task.benchmark, task.seed, "augmentation", epoch)
    loss_sum = torch.zeros((), dtype=torch.float64 if device.type != "mps" else torch.float32, device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    network.train()
    with (
        seeded(device, derive(task.benchmark, task.seed, "network", epoch)),
        arithmetic(device, recipe.numeric_mode, task.threads),
    ):
        for step in range(batches):
            chosen = order[step * recipe.batch_size : (step + 1) * recipe.batch_size]
            labels = images.labels[chosen]
            logits = network(images.augmented_batch(chosen, recipe.augmentation, draws))
            loss = F.cross_entropy(logits, labels)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            if every_step is not None:
                every_step.step()
            loss_sum += loss.detach() * len(chosen)
            correct += (logits.detach().argmax(1) == labels).sum()
    if not loss_sum.isfinite():
        raise DivergedError(f"the loss is {float(loss_sum)} in epoch {epoch + 1}")
    return float(loss_sum), int(correct), min(len(images), batches * recipe.batch_size)
