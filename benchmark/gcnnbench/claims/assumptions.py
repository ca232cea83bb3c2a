"""The assumptions of our cards: those of a benchmark and its networks, and those that a claim's verdict holds under."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.cards.base import Assumption, split_entry
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry

CURVED = ("accuracy.angle", "accuracy.curve_mean")
"""Quantities on which the protocol of the rotation curve has an influence."""


def assumptions(registry: Registry, card: BenchmarkCard, entries: Sequence[str]) -> dict[str, Assumption]:
    """The assumptions of a benchmark and of the models of these entries, by name."""
    models = [registry.models.get(split_entry(entry)[0]) for entry in entries]
    every = [*card.assumptions, *(found for model in models if model for found in model.assumptions)]
    return {assumption.name: assumption for assumption in every}


def touching(registry: Registry, card: BenchmarkCard, entries: Sequence[str], quantity: str) -> tuple[str, ...]:
    """The names of those that can have an influence on a quantity of these entries."""
    return tuple(
        one.name
        for one in assumptions(registry, card, entries).values()
        if quantity in CURVED or not one.field.startswith("evaluation.curve")
    )
