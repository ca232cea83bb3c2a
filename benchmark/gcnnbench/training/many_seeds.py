"""Several seeds of one entry trained as one batched computation, each as if it were trained alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from gcnnbench.data.images import Images
from gcnnbench.device import WIDE_SCORING_BATCH, arithmetic, scoring_batch, synchronise
from gcnnbench.errors import UserError
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.rewriting.stacked import Streams, stack, unstacked
from gcnnbench.training.lookahead import SlowWeights
from gcnnbench.training.loop import DivergedError, check_finite
from gcnnbench.training.norm_statistics import re_estimate
from gcnnbench.training.optimisers import every_batch, optimiser_for, schedule_for
from gcnnbench.training.phases import between_epochs, penalties, phases
from gcnnbench.training.task import EpochResult, Task, TrainingState


def train_many_seeds(
    networks: Sequence[nn.Module], tasks: Sequence[Task], states: Sequence[TrainingState]
) -> Iterator[dict[int, DivergedError]]:
    """Train networks of one form for the recipe's epochs as one, bringing each one's state up to date after each epoch.

    Every seed has its own images, order, augmentation and dropout, from the very streams that it would have alone, its
    own batch statistics, and its own share of the loss; the optimisers work element by element. So its state is the
    one it would have alone but for rounding. `seconds` of an epoch are a seed's share of the time.

    Args:
        networks: one a seed, on the tasks' device; what is read after an epoch is read from them.
        tasks: what each is trained on; they differ in seed and images only.
        states: where each stands. One that is ahead waits until the others have caught up; what its place computes
            meanwhile is dropped.

    Yields:
        The seeds lost so far by their position, whose loss is not finite; their states stay where they were.

    Raises:
        UserError: a layer has no form for several seeds at once, the network has a penalty or learns something
            between epochs, or the recipe has phases.
    """
    task, count = tasks[0], len(tasks)
    recipe, streams = task.recipe, Streams(task.device)
    phase, *further = phases(recipe)
    if further or phase.trains is not None:
        raise UserError("several seeds at once are trained in one phase, which trains everything")
    if penalties(networks[0]):
        raise UserError("the network has a penalty, which several seeds at once would share")
    if between_epochs(networks[0]):
        raise UserError("the network learns something between epochs, which several seeds at once would share")
    network = stack(networks, streams)
    optimiser = optimiser_for(network, phase)
    schedule = schedule_for(optimiser, phase, task.steps_per_epoch)
    lost: dict[int, DivergedError] = {}
    lookahead, after_step = None, list[Callable[[], None]]()
    joined_after = {state.epochs_done for state in states}
    for epoch in range(min(joined_after), phase.end):
        here = [place for place, state in enumerate(states) if place not in lost and state.epochs_done == epoch]
        if not here:
            continue  # all that were behind are lost
        if epoch in joined_after:
            lead = states[here[0]]
            held = [lead if place in lost else state for place, state in enumerate(states)]
            if epoch:
                network.load_state_dict(_joined([state.network for state in held]))
                optimiser.load_state_dict(_joined_optimisers([state.optimiser for state in held], lead.optimiser))
                schedule.load_state_dict(lead.schedule)
            after_step = [schedule.step] if every_batch(phase) else []
            if recipe.lookahead is not None:
                kept = _joined([state.slow_weights for state in held]) if epoch else {}
                steps = recipe.epochs * task.steps_per_epoch
                lookahead = SlowWeights(network, recipe.lookahead, steps, lead.steps, kept)
                after_step.append(lookahead.step)
        start = time.perf_counter()
        learning_rate = float(optimiser.param_groups[0]["lr"])
        losses, correct = _epoch(network, streams, tasks, epoch, optimiser, after_step)
        for place in here:
            try:
                check_finite(losses[place], epoch)
            except DivergedError as error:
                lost[place] = error
        if not every_batch(phase):
            schedule.step()
        if (again := task.pass_for_norms(epoch)) is not None:
            passes = zip(*(task.batches(again) for task in tasks), strict=True)
            seeds = [task.network_stream(again) for task in tasks]
            with streams.started(seeds), arithmetic(task.device, "fp32", task.threads):
                re_estimate(network, (torch.cat([images for images, _ in batches], 1) for batches in passes))
        weights = {place: _own(network.state_dict(), count, place) for place in here if place not in lost}
        with arithmetic(task.device, "fp32", task.threads):
            validated = _correct_predictions(network, [task.validation for task in tasks])
            probes = {place: _probed(networks[place], tasks[place], own) for place, own in weights.items()}
        synchronise(task.device)
        seconds = (time.perf_counter() - start) / count
        for place, own in weights.items():
            read, state = probes[place], states[place]
            result = EpochResult(learning_rate, losses[place], correct[place], validated[place], seconds, probes=read)
            state.add(tasks[place], result, own, _separated(optimiser.state_dict(), count, place))
            state.schedule = schedule.state_dict()
            state.slow_weights = _own(lookahead.weights if lookahead else {}, count, place)
        yield lost
        if len(lost) == count:
            return


def _epoch(
    network: nn.Module,
    streams: Streams,
    tasks: Sequence[Task],
    epoch: int,
    optimiser: Optimizer,
    after_step: Sequence[Callable[[], None]],
) -> tuple[list[float], list[int]]:
    """One pass over everybody's training images: each seed's sum of losses and number put into their class."""
    task, count, device = tasks[0], len(tasks), tasks[0].device
    losses = torch.zeros(count, dtype=torch.float64, device=device)
    correct = torch.zeros(count, dtype=torch.int64, device=device)
    network.train()
    seeds = [task.network_stream(epoch) for task in tasks]
    with streams.started(seeds), arithmetic(device, task.recipe.numeric_mode, task.threads):
        for batches in zip(*(task.batches(epoch) for task in tasks), strict=True):
            labels = torch.stack([labels for _, labels in batches], 1)
            logits = network(torch.cat([images for images, _ in batches], 1)).unflatten(1, (count, -1))
            each = F.cross_entropy(
                logits.flatten(0, 1), labels.flatten(), reduction="none", label_smoothing=task.smoothing
            ).view_as(labels)
            optimiser.zero_grad(set_to_none=True)
            each.mean(0).sum().backward()
            optimiser.step()
            for follow in after_step:
                follow()
            losses += each.detach().sum(0)
            correct += (logits.detach().argmax(2) == labels).sum(0)
    return losses.tolist(), correct.tolist()


@torch.inference_mode()
def _correct_predictions(network: nn.Module, validation: Sequence[Images | None]) -> list[int]:
    """For each seed the number of its validation images that its network puts into their class."""
    shares = [images for images in validation if images]
    if len(shares) < len(validation):
        return [0] * len(validation)
    network = for_scoring(network)
    correct = torch.zeros(len(shares), dtype=torch.int64, device=shares[0].labels.device)
    size = max(WIDE_SCORING_BATCH, scoring_batch(correct.device, shares[0].size) // len(shares))
    for start in range(0, len(shares[0]), size):
        batch = slice(start, start + size)
        labels = torch.stack([images.labels[batch] for images in shares], 1)
        logits: Tensor = network(torch.cat([images.batch(batch) for images in shares], 1))
        correct += (logits.unflatten(1, (len(shares), -1)).argmax(2) == labels).sum(0)
    counts: list[int] = correct.tolist()
    return counts


def _own(values: Mapping[str, Tensor], seeds: int, position: int) -> dict[str, Tensor]:
    """One seed's own copies of stacked tensors."""
    return {name: unstacked(value, seeds, position) for name, value in values.items()}


def _probed(network: nn.Module, task: Task, weights: dict[str, Tensor]) -> dict[str, Any] | None:
    """What a benchmark reads from one seed's network, which takes these weights; null where it asks for nothing."""
    if task.probe is None:
        return None
    network.load_state_dict(weights)
    return task.probe(network)


def _separated(optimiser: dict[str, Any], seeds: int, position: int) -> dict[str, Any]:
    """One seed's own optimiser state, as it would be alone."""
    own = {
        index: {
            name: unstacked(value, seeds, position) if isinstance(value, Tensor) else value
            for name, value in values.items()
        }
        for index, values in optimiser["state"].items()
    }
    return {**optimiser, "state": own}


def _joined(values: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """All seeds' tensors one after another, name by name."""
    return {name: torch.cat([own[name] for own in values]) for name in values[0]}


def _joined_optimisers(optimisers: Sequence[dict[str, Any]], lead: dict[str, Any]) -> dict[str, Any]:
    """The optimiser state of all seeds together; numbers that are the same for all are those of the one that leads."""
    together = {
        index: {
            name: torch.cat([own["state"][index][name] for own in optimisers])
            if isinstance(value, Tensor) and value.ndim
            else value
            for name, value in values.items()
        }
        for index, values in lead["state"].items()
    }
    return {**lead, "state": together}
