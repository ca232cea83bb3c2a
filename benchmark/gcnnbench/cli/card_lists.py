"""The lists of models, data sets and benchmarks: a row a card, as data and in tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gcnnbench.cards.benchmark_card import PURPOSES, BenchmarkCard
from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cli.cards import table

if TYPE_CHECKING:
    from gcnnbench.cards.registry import Registry


def summaries(registry: Registry, kind: str) -> list[dict[str, Any]]:
    """One row a card of `models`, `datasets` or `benchmarks`."""
    if kind == "models":
        return [_model_row(card) for card in registry.models.values()]
    if kind == "datasets":
        return [_dataset_row(card) for card in registry.datasets.values()]
    return [_benchmark_row(card) for card in registry.benchmarks.values()]


def listing(kind: str, rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of a kind of cards under its name; benchmarks in a table for each purpose."""
    if kind != "benchmarks":
        return f"{kind}\n{table(rows)}\n"
    parts = []
    for purpose, words in PURPOSES.items():
        those = [{key: row[key] for key in row if key != "purpose"} for row in rows if row["purpose"] == purpose]
        if those:
            parts.append(f"benchmarks {words}\n{table(those)}\n")
    return "\n".join(parts)


def _model_row(card: ModelCard) -> dict[str, Any]:
    counts = [configuration.count for configuration in card.parameters]
    return {
        "name": card.name,
        "group": card.group,
        "parameters": counts[0],
        "exact at": list(card.exact_at),
        "approximate at": list(card.approximate_at),
    }


def _dataset_row(card: DatasetCard) -> dict[str, Any]:
    images = {name: part.images for name, part in card.parts.items()}
    return {
        "name": card.name,
        "images": images,
        "size": f"{card.channels}×{card.size}×{card.size}",
        "title": card.title,
    }


def _benchmark_row(card: BenchmarkCard) -> dict[str, Any]:
    return {
        "name": card.full_name,
        "purpose": card.purpose,
        "data set": card.dataset,
        "seeds": card.seeds,
        "entries": list(card.entries),
    }
