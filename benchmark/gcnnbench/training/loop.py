"""Training by a fixed recipe: a loop whose every state can be kept and taken up again with the same bits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from gcnnbench.cards.recipe import Recipe
from gcnnbench.data.augment import flip
from gcnnbench.data.images import Images
from gcnnbench.data.streams import derive, generator
from gcnnbench.device import arithmetic, scoring_batch, seeded, synchronise
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.training.capture import CapturedStep, Graph, Step, recordable
from gcnnbench.training.lookahead import SlowWeights
from gcnnbench.training.norm_statistics import re_estimate
from gcnnbench.training.optimisers import every_batch, optimiser_for, schedule_for
from gcnnbench.training.phases import Phase, penalties, phases, settling, total_penalty, training_only


class DivergedError(Exception):
    """Training left the finite numbers; the cell fails and says where."""


@dataclass
class TrainingState:
    """All that training knows after a number of whole epochs; plain tensors, numbers and strings throughout."""

    epochs_done: int = 0
    network: dict[str, Tensor] = field(default_factory=dict)
    optimiser: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    slow_weights: dict[str, Tensor] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    steps: int = 0
    images_seen: int = 0
    tested_epoch: int = 0
    tested_correct: int = -1
    tested_network: dict[str, Tensor] = field(default_factory=dict)

    def add(self, task: Task, epoch: EpochResult, network: dict[str, Tensor], optimiser: dict[str, Any]) -> None:
        """Note a finished epoch: its history, the network after it, and whether that is the one to be tested."""
        images, validation, steps = task.images_per_epoch, task.validation, task.steps_per_epoch
        self.history.append(
            {
                "epoch": self.epochs_done + 1,
                "learning_rate": epoch.learning_rate,
                "train_loss": epoch.loss / images,
                "train_penalty": None if epoch.penalty is None else epoch.penalty / images,
                "train_accuracy": epoch.correct / images,
                "validation_accuracy": epoch.validated / len(validation) if validation else None,
                "seconds": epoch.seconds,
                "probes": epoch.probes,
            }
        )
        self.epochs_done, self.steps = self.epochs_done + 1, self.steps + steps
        self.images_seen += images
        self.network, self.optimiser = network, optimiser
        if task.recipe.tested_model == "last" or epoch.validated > self.tested_correct:
            self.tested_epoch, self.tested_correct = self.epochs_done, epoch.validated
            self.tested_network = {name: value.clone() for name, value in network.items()}


@dataclass(frozen=True)
class EpochResult:
    """What came of one epoch: the sum of its losses, the images put into their class, in training and validation.

    `penalty` is the sum over images of what the network added to the loss, null where it adds nothing.
    """

    learning_rate: float
    loss: float
    correct: int
    validated: int
    seconds: float
    penalty: float | None = None
    probes: dict[str, Any] | None = None


@dataclass(frozen=True)
class Task:
    """What is trained on what: the recipe, the images on the device, and the names that the random streams hang on."""

    benchmark: str
    seed: int
    recipe: Recipe
    train: Images
    validation: Images | None
    device: torch.device
    threads: int
    probe: Callable[[nn.Module], dict[str, Any] | None] | None = None
    """What is read from the network after every epoch."""
    graph: Callable[[], Graph] | None = None
    """Makes a graph in which steps are recorded and replayed; without, each is made as it is. The same bits."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch; the last one may be smaller."""
        images, batch = len(self.train), self.recipe.batch_size
        return images // batch if self.recipe.drop_last else -(-images // batch)

    @property
    def images_per_epoch(self) -> int:
        """Images that an epoch trains on."""
        return min(len(self.train), self.steps_per_epoch * self.recipe.batch_size)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """The augmented images and the labels of each batch of an epoch, from that epoch's own random streams."""
        images, size = self.train, self.recipe.batch_size
        order = torch.randperm(len(images), generator=generator(self.benchmark, self.seed, "order", epoch))
        order = order.to(self.device)
        draws = generator(self.benchmark, self.seed, "augmentation", epoch)
        mirrored = self._mirrored_in(epoch) if self.recipe.augmentation.alternating_flip else None
        for step in range(self.steps_per_epoch):
            chosen = order[step * size : (step + 1) * size]
            batch = images.augmented_batch(chosen, self.recipe.augmentation, draws)
            if mirrored is not None:
                batch = flip(batch, mirrored[chosen], axis=-1)
            yield batch, images.labels[chosen]

    def plain_batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """All training images and labels as images are tested, in the order in which they are kept."""
        for start in range(0, len(self.train), self.recipe.batch_size):
            batch = slice(start, start + self.recipe.batch_size)
            yield self.train.batch(batch), self.train.labels[batch]

    def _mirrored_in(self, epoch: int) -> Tensor:
        """Which training images the alternating flip mirrors in an epoch, bool (images,): a half, or else the other."""
        coins = torch.randint(2, (len(self.train),), generator=generator(self.benchmark, self.seed, "mirrored"))
        return ((coins + epoch) % 2 == 1).to(self.device)

    def pass_for_norms(self, epoch: int) -> int | None:
        """The pass, counted on from the last epoch, over which norms are estimated anew after an epoch; null for none.

        The statistics are used for validation and in the end, so without validation only the last epoch has one.
        """
        wanted = self.recipe.norm_statistics == "re-estimated"
        used = self.validation is not None or epoch == self.recipe.epochs - 1
        return self.recipe.epochs + epoch if wanted and used else None

    @property
    def smoothing(self) -> float:
        """The share of a label that is spread over all classes."""
        return self.recipe.label_smoothing or 0.0

    def network_stream(self, epoch: int) -> int:
        """The seed of what the network draws in an epoch, as for dropout."""
        return derive(self.benchmark, self.seed, "network", epoch)


@torch.inference_mode()
def correct_predictions(network: nn.Module, images: Images) -> int:
    """The number of images that the network, in evaluation mode, puts into their class."""
    network = for_scoring(network)
    correct = torch.zeros((), dtype=torch.int64, device=images.labels.device)
    size = scoring_batch(correct.device, images.size)
    for start in range(0, len(images), size):
        batch = slice(start, start + size)
        correct += (network(images.batch(batch)).argmax(1) == images.labels[batch]).sum()
    return int(correct)


def train(network: nn.Module, task: Task, state: TrainingState) -> Iterator[TrainingState]:
    """Train for the recipe's epochs, bringing `state` up to date and yielding it after each.

    A state of which some epochs are done is gone on from, with the same bits as if never interrupted.

    The order of the images, the augmentation and the network's own draws (dropout) of an epoch come from streams
    derived from benchmark, seed, stream and epoch: so no generator's state is carried, and seeds pair across entries.

    Raises:
        DivergedError: the loss or the penalty of an epoch is not finite.
    """
    for phase in phases(task.recipe):
        if state.epochs_done < phase.end:
            with training_only(network, phase.trains) as train_mode:
                yield from _train_phase(network, task, state, phase, train_mode)


def _train_phase(
    network: nn.Module, task: Task, state: TrainingState, phase: Phase, train_mode: Callable[[], None]
) -> Iterator[TrainingState]:
    """Train for one phase, or for what is left of it."""
    recipe = task.recipe
    optimiser = optimiser_for(network, phase)
    schedule = schedule_for(optimiser, phase, task.steps_per_epoch)
    if state.epochs_done:
        network.train()
        network.load_state_dict(state.network)
    if state.epochs_done > phase.first:
        optimiser.load_state_dict(state.optimiser)
        schedule.load_state_dict(state.schedule)
    after_step: list[Callable[[], None]] = [schedule.step] if every_batch(phase) else []
    if recipe.lookahead is not None:
        steps = recipe.epochs * task.steps_per_epoch
        lookahead = SlowWeights(network, recipe.lookahead, steps, state.steps, state.slow_weights)
        state.slow_weights = lookahead.weights
        after_step.append(lookahead.step)
    sums = _Sums(task.device)
    step = _step(network, task, optimiser, sums)
    if task.graph is not None and recordable(network):
        step = CapturedStep(step, network.parameters(), task.graph())
    for epoch in range(state.epochs_done, phase.end):
        start = time.perf_counter()
        learning_rate = float(optimiser.param_groups[0]["lr"])
        train_mode()
        loss, correct, penalty = _epoch(task, epoch, step, sums, [optimiser.step, *after_step])
        if not every_batch(phase):
            schedule.step()
        with arithmetic(task.device, "fp32", task.threads):
            for settle in settling(network):
                settle(epoch + 1, task.plain_batches())
        if (again := task.pass_for_norms(epoch)) is not None:
            with seeded(task.device, task.network_stream(again)), arithmetic(task.device, "fp32", task.threads):
                re_estimate(network, (images for images, _ in task.batches(again)))
        with arithmetic(task.device, "fp32", task.threads):
            validated = correct_predictions(network, task.validation) if task.validation else 0
            probes = task.probe(network) if task.probe else None
        synchronise(task.device)
        seconds = time.perf_counter() - start
        network.train()  # in evaluation mode e2cnn's state_dict holds expanded filters, which are no parameters
        result = EpochResult(learning_rate, loss, correct, validated, seconds, penalty, probes)
        state.add(task, result, network.state_dict(), optimiser.state_dict())
        state.schedule = schedule.state_dict()
        yield state


class _Sums:
    """What is summed over the images of an epoch, on the device and always in the same places.

    Args:
        device: where.
    """

    def __init__(self, device: torch.device) -> None:
        self.loss = torch.zeros((), dtype=torch.float64 if device.type != "mps" else torch.float32, device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        self.penalty, self.penalised = torch.zeros_like(self.loss), False

    def clear(self) -> None:
        """Begin anew."""
        for value in (self.loss, self.correct, self.penalty):
            value.zero_()


def _step(network: nn.Module, task: Task, optimiser: Optimizer, sums: _Sums) -> Step:
    """The gradients of a batch, and its share of the sums; the optimiser has not stepped yet."""
    terms = penalties(network)
    sums.penalised = bool(terms)

    def step(images: Tensor, labels: Tensor) -> None:
        logits = network(images)
        loss = F.cross_entropy(logits, labels, label_smoothing=task.smoothing)
        penalty = total_penalty(terms)
        optimiser.zero_grad(set_to_none=True)
        (loss if penalty is None else loss + penalty).backward()
        sums.loss.add_(loss.detach() * len(labels))
        sums.correct.add_((logits.detach().argmax(1) == labels).sum())
        if penalty is not None:
            sums.penalty.add_(penalty.detach() * len(labels))

    return step


def _epoch(
    task: Task, epoch: int, step: Step, sums: _Sums, after_step: Sequence[Callable[[], object]]
) -> tuple[float, int, float | None]:
    """One pass over the training images: sum of losses, number put into their class, sum of penalties."""
    device = task.device
    sums.clear()
    with seeded(device, task.network_stream(epoch)), arithmetic(device, task.recipe.numeric_mode, task.threads):
        for images, labels in task.batches(epoch):
            step(images, labels)
            for follow in after_step:
                follow()
    check_finite(float(sums.penalty), epoch, "penalty")
    check_finite(float(sums.loss), epoch)
    return float(sums.loss), int(sums.correct), float(sums.penalty) if sums.penalised else None


def check_finite(loss: float, epoch: int, what: str = "loss") -> None:
    """Refuse to go on from a loss, or a penalty, that is not finite.

    Raises:
        DivergedError: it is not.
    """
    if not math.isfinite(loss):
        raise DivergedError(f"the {what} is {loss} in epoch {epoch + 1}")
