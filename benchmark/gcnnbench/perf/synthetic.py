"""Records that no cell has left, in any number: the form and size of real ones, for measuring tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.elements import ELEMENTS
from gcnnbench.cards.registry import Registry
from gcnnbench.leaderboard.reading import Results, run
from gcnnbench.runs.record import Record
from gcnnbench.runs.spec import spec, spec_digest
from gcnnbench.scoring.metrics import Counts, images, metrics

BENCHMARK = "quickstart"
CLASSES, EACH = 10, 40
"""Classes, and test images of each."""


def record(card: BenchmarkCard, entry: str, seed: int, own: Mapping[str, Any], digest: str) -> Record:
    """A record that agrees with itself: of every class the same number of images is wrong, by entry and seed."""
    wrong = 1 + (seed * 7 + sum(entry.encode())) % 9

    def confusion(errors: int) -> list[list[int]]:
        return [
            [EACH - errors if column == row else errors * (column == (row + 1) % CLASSES) for column in range(CLASSES)]
            for row in range(CLASSES)
        ]

    same = [[EACH * (row == column) for column in range(CLASSES)] for row in range(CLASSES)]
    names = ELEMENTS[card.evaluation.group]
    counts = {
        "elements": {name: confusion(wrong) for name in names},
        "angles": {str(angle): confusion(wrong) for angle in card.evaluation.curve.angles},
        "flips": dict.fromkeys(names[1:], same),
    }
    made = Counts.model_validate_json(to_json(counts))
    depths = [{"depth": f"relu{n}", "paper": 1e-15, "relative": 1e-15} for n in range(9)]
    state = {"depths": depths, "invariance_error": 1e-15, "flips": 0.0, "dtype": "float64"}
    epoch = {"learning_rate": 0.01, "train_loss": 0.5, "train_accuracy": 0.9, "validation_accuracy": None}
    data = {
        "schema_version": 1,
        "benchmark": card.full_name,
        "entry": entry,
        "seed": seed,
        "spec_digest": digest,
        "spec": own,
        "official": True,
        "metrics": metrics(made, card.evaluation.seen, invariance_error=1e-15),
        "counts": counts,
        "equivariance": {"images": 64, "before": state, "after": state, "relaxation": {}},
        "training": {
            "history": [{"epoch": n, "seconds": 1.0, **epoch} for n in range(1, card.recipe.epochs + 1)],
            "steps": 100,
            "tested_epoch": card.recipe.epochs,
        },
        "cost": {
            "parameters": 24810,
            "macs": 1000000,
            "train_images_per_second": float(card.split.train.images or 0),
            "test_images_per_second": float(images(made)),
            "train_seconds": float(card.recipe.epochs),
            "test_seconds": 1.0,
            "peak_memory_bytes": 1000000,
        },
        "provenance": {
            "suite_version": "0",
            "commit": None,
            "dirty": None,
            "device": "cpu",
            "device_name": "made up",
            "threads": 1,
            "numeric_mode": "fp32",
            "deterministic_algorithms": False,
            "versions": {},
            "platform": "none",
            "started": "2026-01-01T00:00:00+00:00",
            "finished": "2026-01-01T00:01:00+00:00",
            "sessions": 1,
        },
        "weights": {"sha256": "b" * 64, "bytes": 1, "committed": True},
        "outputs": None,
    }
    return Record.model_validate_json(to_json(data))


def write(registry: Registry, results: Path, count: int) -> None:
    """A results directory with that many records, seed by seed."""
    card = registry.benchmark(BENCHMARK)
    for position, entry in enumerate(card.entries):
        own = spec(registry, card, entry)
        first = from_json(record(card, entry, 0, own, spec_digest(own)).model_dump_json())
        folder = results / card.full_name / entry
        folder.mkdir(parents=True)
        for seed in range((count - position + len(card.entries) - 1) // len(card.entries)):
            (folder / f"seed-{seed}.json").write_bytes(to_json({**first, "seed": seed}, indent=1))


def runs(registry: Registry, count: int) -> tuple[BenchmarkCard, Results, dict[tuple[str, str], str]]:
    """A card with seeds enough for that many records, what tables need of them, and the digests that they must have."""
    card = registry.benchmark(BENCHMARK)
    seeds = -(-count // len(card.entries))
    card = card.model_copy(update={"seeds": seeds})
    found, expected = Results(), {}
    for entry in card.entries:
        own = spec(registry, card, entry)
        digest = expected[card.full_name, entry] = spec_digest(own)
        first = run(record(card, entry, 0, own, digest), "seed", card)
        for seed in range(seeds):
            found.runs.append(replace(first, seed=seed, metrics=_moved(first.metrics, seed)))
    return card, Results(found.runs[:count]), expected


def _moved(metrics: Mapping[str, float | None], seed: int) -> dict[str, float | None]:
    """Metrics that differ from seed to seed."""
    return {name: None if value is None else value * (1 - seed % 13 / 1000) for name, value in metrics.items()}
