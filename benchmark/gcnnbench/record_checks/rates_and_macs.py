"""Recomputes without data what a record states: the learning rates of its schedule, the MACs of its network.

Networks are built only for the suite's own registered models, never for a submission's: their code would run here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from math import isclose

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.recipe import Recipe
from gcnnbench.cards.registry import Registry
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many
from gcnnbench.runs.record import Record

MacCount = Callable[[Record], int | None]
"""From a record to the multiply-accumulates of its network; null where the suite does not have this very network."""
MOST_STEPS = 2_000_000


def learning_rate_findings(record: Record) -> Iterator[str]:
    """Where the history states another learning rate than the recipe's schedule gives at the start of that epoch."""
    epochs = len(record.training.history)
    if not epochs or record.training.steps % epochs or record.training.steps > MOST_STEPS:
        return  # the course of training is not that of the recipe, which is told elsewhere
    recipe = json.dumps(record.spec["recipe"], sort_keys=True)
    rates = _learning_rates(recipe, epochs, record.training.steps // epochs)
    for epoch, rate in zip(record.training.history, rates or (), strict=rates is not None):
        if not isclose(epoch.learning_rate, rate, rel_tol=1e-9, abs_tol=1e-15):
            told = (
                f"epoch {epoch.epoch} says the learning rate {epoch.learning_rate:.6g}, the schedule gives {rate:.6g}"
            )
            yield f"training.history: {told}"
            return


@cache
def _learning_rates(recipe: str, epochs: int, steps: int) -> tuple[float, ...] | None:
    """The learning rate at the start of each epoch, from the schedule itself; null where the network has a say."""
    import torch

    from gcnnbench.training.optimisers import every_batch, optimiser_for, schedule_for
    from gcnnbench.training.phases import phases

    card, rates = Recipe.model_validate_json(recipe), list[float]()
    if card.epochs != epochs:
        raise ValueError(f"{how_many(epochs, 'epoch')}, but the recipe has {card.epochs}")
    for phase in phases(card):
        if phase.rates or phase.trains:
            return None  # rates of some parameters only, which those of the network decide
        optimiser = optimiser_for(torch.nn.Linear(1, 1), phase)
        schedule = schedule_for(optimiser, phase, steps)
        for _ in range(phase.epochs):
            rates.append(float(optimiser.param_groups[0]["lr"]))
            for _ in range(steps if every_batch(phase) else 1):
                optimiser.step()
                schedule.step()
    return tuple(rates)


def mac_count(registry: Registry) -> MacCount:
    """Counts on networks of the suite's own models, each built once.

    Args:
        registry: the registered cards, without any of a submission.
    """

    @cache
    def counted(slug: str, size: int, channels: int, classes: int) -> int | None:
        import torch

        from gcnnbench.cards.entries import build_network
        from gcnnbench.device import seeded
        from gcnnbench.runs.measuring import multiply_accumulates

        try:
            with seeded(torch.device("cpu"), 0):
                network = build_network(
                    registry.module("model", slug),
                    f"{slug}@{size}",
                    size=size,
                    channels=channels,
                    classes=classes,
                    hyperparameters=registry.model(slug).hyperparameters,
                )
            return multiply_accumulates(network, torch.zeros(1, channels, size, size))
        except UserError:
            return None  # what the network needs is not installed

    def count(record: Record) -> int | None:
        slug, size = split_entry(record.entry)
        card, protocol = registry.models.get(slug), record.spec
        if card is None or not _is_this(card, record):
            return None
        return counted(slug, size, protocol["input"]["channels"], protocol["classes"])

    return count


def _is_this(card: ModelCard, record: Record) -> bool:
    """Whether a record is of the network that this card describes, in this version."""
    stated = {"model_version": card.model_version, "hyperparameters": card.model_dump(mode="json")["hyperparameters"]}
    return all(record.spec.get(key) == value for key, value in stated.items())
