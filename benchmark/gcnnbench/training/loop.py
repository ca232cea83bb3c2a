"""Training by a fixed recipe: a loop whose every state can be kept and taken up again with the same bits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator, Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from gcnnbench.data.images import Images
from gcnnbench.device import arithmetic, scoring_batch, seeded, synchronise
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.training.capture import CapturedStep, Step
from gcnnbench.training.lookahead import SlowWeights
from gcnnbench.training.norm_statistics import re_estimate
from gcnnbench.training.optimisers import every_batch, optimiser_for, schedule_for
from gcnnbench.training.phases import Phase, between_epochs, penalties, phases, total_penalty, training_only
from gcnnbench.training.task import EpochResult, Task, TrainingState


class DivergedError(Exception):
    """Training left the finite numbers; the cell fails and says where."""


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
    for step in train_by_steps(network, task, state):
        if step is not None:
            yield step


Steps = Generator[TrainingState | None, None, None]
"""Training that stops after every step, with nothing to tell, and after every epoch, with its state."""


def train_by_steps(network: nn.Module, task: Task, state: TrainingState) -> Steps:
    """The same, stopping after every step too; there torch's generators and settings are still those of the epoch."""
    for phase in phases(task.recipe):
        if state.epochs_done < phase.end:
            with training_only(network, phase.trains) as train_mode:
                yield from _train_phase(network, task, state, phase, train_mode)


def _train_phase(
    network: nn.Module, task: Task, state: TrainingState, phase: Phase, train_mode: Callable[[], None]
) -> Steps:
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
    if task.graph is not None and task.records(network):
        step = CapturedStep(step, network, task.graph())
    for epoch in range(state.epochs_done, phase.end):
        start = time.perf_counter()
        learning_rate = float(optimiser.param_groups[0]["lr"])
        train_mode()
        loss, correct, penalty = yield from _epoch(task, epoch, step, sums, [optimiser.step, *after_step])
        if not every_batch(phase):
            schedule.step()
        with arithmetic(task.device, "fp32", task.threads):
            for learn in between_epochs(network):
                learn(epoch + 1, task.plain_batches())
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
) -> Generator[None, None, tuple[float, int, float | None]]:
    """One pass over the training images: sum of losses, number put into their class, sum of penalties."""
    device = task.device
    sums.clear()
    with seeded(device, task.network_stream(epoch)), arithmetic(device, task.recipe.numeric_mode, task.threads):
        for images, labels in task.batches(epoch):
            step(images, labels)
            for follow in after_step:
                follow()
            yield
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
