"""Cards and records of a made-up benchmark, every count consistent with the accuracies asked for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.registry import Registry
from gcnnbench.leaderboard.board import Board
from gcnnbench.leaderboard.frame import boards
from gcnnbench.leaderboard.reading import Results, run
from gcnnbench.runs.record import Failure, Record
from gcnnbench.runs.spec import spec_digest
from gcnnbench.scoring.metrics import Counts, metrics

ELEMENTS = ("upright", "rot90", "rot180", "rot270")
ENTRIES = ("z2cnn@28", "p4cnn@28", "p4cnn@27", "p4cnn@29")
IMAGES = 1000


def confusion(accuracy: float, images: int = IMAGES, classes: int = 2) -> list[list[int]]:
    """Classes of equal size, `accuracy` of the images right; a wrong one is taken for the class after its own."""
    right, each = round(accuracy * images), images // classes
    table = [[0] * classes for _ in range(classes)]
    for label in range(classes):
        table[label][label] = right // classes + (label >= classes - right % classes)
        table[label][(label + 1) % classes] = each - table[label][label]
    return table


def joint(upright: list[list[int]], turned: list[list[int]]) -> list[list[int]]:
    """Joint predictions of the two: of each class, the images right under the worse are right under the better, too."""
    classes = len(upright)
    table = [[0] * classes for _ in range(classes)]
    for label in range(classes):
        one, other, wrong = upright[label][label], turned[label][label], (label + 1) % classes
        table[label][label] += min(one, other)
        table[label][wrong] += max(0, one - other)
        table[wrong][label] += max(0, other - one)
        table[wrong][wrong] += sum(upright[label]) - max(one, other)
    return table


def counts(upright: float, turned: float, images: int = IMAGES, classes: int = 2, step: int = 90) -> Counts:
    tables = {name: confusion(upright if name == "upright" else turned, images, classes) for name in ELEMENTS}
    between = confusion((upright + turned) / 2, images, classes)
    data = {
        "elements": tables,
        "angles": {str(angle): between if angle else tables["upright"] for angle in range(0, 360, step)},
        "flips": {name: joint(tables["upright"], tables[name]) for name in ELEMENTS[1:]},
    }
    return Counts.model_validate_json(json.dumps(data))


def record(entry: str = "p4cnn@28", seed: int = 0, upright: float = 0.9, turned: float = 0.7, **changes: Any) -> Record:
    """A record that agrees with itself, with the digest of its spec.

    `exactness` is (certificate, decision) after training, `auc` goes into the counts; further changes replace fields.
    """
    auc = changes.pop("auc", None)
    protocol = changes.setdefault("spec", protocol_of(entry))
    changes.setdefault("spec_digest", spec_digest(protocol))
    recipe, split, rate = protocol["recipe"], protocol["split"], 1000.0 + seed
    epochs, batch, train = recipe["epochs"], recipe["batch_size"], split["train"].get("images", IMAGES)
    tested = split["test"].get("images", IMAGES)
    shown = counts(upright, turned, tested, protocol["classes"], protocol["evaluation"]["curve"]["step"])
    certificate, decision = changes.pop("exactness", ("exact", "exact"))
    device, mode = changes.pop("device_name", "a CPU"), changes.pop("numeric_mode", "fp32")
    kind = changes.pop("device", "cpu")
    state = {"depths": [], "invariance_error": 1e-15, "flips": 0.0, "dtype": "float64"}
    exactness = {
        "grid": "unknown",
        "certificate": certificate,
        "decision": decision,
        "first_break": "pool" if decision == "approximate" else None,
        "error": 1e-15,
        "nearest_exact_sizes": [],
        "reason": None,
    }
    data: dict[str, Any] = {
        "schema_version": 1,
        "benchmark": "toy@2",
        "entry": entry,
        "seed": seed,
        "official": True,
        "counts": json.loads(shown.model_dump_json()),
        "equivariance": {
            "images": 8,
            "before": state,
            "after": state,
            "relaxation": {},
            "exactness_after": exactness if certificate else None,
        },
        "training": {
            "history": [
                {
                    "epoch": epoch,
                    "learning_rate": 0.01,
                    "train_loss": 1.0,
                    "train_accuracy": 0.5,
                    "validation_accuracy": epoch / (epochs + 1) if "validation" in split else None,
                    "seconds": 10.0,
                }
                for epoch in range(1, epochs + 1)
            ],
            "steps": epochs * (train // batch if recipe["drop_last"] else -(-train // batch)),
            "tested_epoch": epochs,
        },
        "cost": {
            "parameters": 24990,
            "macs": 1000,
            "train_images_per_second": train / 10.0,
            "test_images_per_second": rate,
            "train_seconds": 10.0 * epochs,
            "test_seconds": 7 * tested / rate,
            "peak_memory_bytes": 1000,
        },
        "provenance": {
            "suite_version": "0",
            "commit": None,
            "dirty": None,
            "device": kind,
            "device_name": device,
            "threads": 1,
            "numeric_mode": mode,
            "deterministic_algorithms": True,
            "versions": {},
            "platform": "Linux",
            "started": "2026-01-01T00:00:00+00:00",
            "finished": "2026-01-01T00:01:00+00:00",
            "sessions": 1,
        },
        "weights": {"sha256": "b" * 64, "bytes": 1, "committed": True},
        "outputs": None,
    }
    if auc is not None:
        data["counts"]["ordered"] = {"concordant": round(auc * (tested // 2) ** 2), "tied": 0}
    made = Counts.model_validate_json(json.dumps(data["counts"]))
    data["metrics"] = metrics(made, protocol["evaluation"]["seen"], invariance_error=1e-15)
    return Record.model_validate_json(json.dumps({**data, **changes}))


def protocol_of(entry: str, **recipe: Any) -> dict[str, Any]:
    """What stands in a record of the toy as its protocol."""
    card = json.loads(benchmark_card().model_dump_json(exclude_none=True))
    return {
        "data": {"all": "d" * 64},
        "classes": 2,
        "split": card["split"],
        "input": card["input"],
        "recipe": card["recipe"] | recipe,
        "evaluation": card["evaluation"],
        "entry": entry,
        "hyperparameters": {},
        "model_version": 1,
        "numerics_version": 1,
    }


def failure(entry: str, seed: int, reason: str, digest: str | None = None) -> Failure:
    digest = digest or spec_digest(protocol_of(entry))
    data = {"schema_version": 1, "benchmark": "toy@2", "entry": entry, "seed": seed, "spec_digest": digest}
    more = {"reason": reason, "phase": "training", "epoch": 3, "at": "2026-01-01T00:00:00+00:00"}
    return Failure.model_validate_json(json.dumps(data | more))


def benchmark_card(**changes: Any) -> BenchmarkCard:
    fill = {"value": 0.0, "scale": "before-normalisation"}
    data: dict[str, Any] = {
        "name": "toy",
        "title": "A toy",
        "summary": "A made-up benchmark.",
        "version": 2,
        "dataset": "digits",
        "split": {"train": {"part": "all", "images": 10}, "test": {"part": "all"}, "shuffle": "seed"},
        "input": {"channels": 1, "resize": "none", "mean": [0.0], "std": [1.0]},
        "recipe": {
            "epochs": 1,
            "batch_size": 2,
            "drop_last": False,
            "optimiser": {"name": "adam", "learning_rate": 0.01},
            "schedule": {"name": "constant"},
            "augmentation": {},
            "tested_model": "last",
            "numeric_mode": "fp32",
        },
        "evaluation": {
            "group": "p4",
            "seen": ["upright"],
            "curve": {"step": 90, "fill": fill},
            "equivariance_images": 8,
        },
        "rank_by": "accuracy.upright",
        "entries": list(ENTRIES),
        "seeds": 3,
    }
    return BenchmarkCard.model_validate_json(json.dumps({**data, **changes}))


def model_card(name: str, group: str) -> ModelCard:
    data: dict[str, Any] = {
        "name": name,
        "title": name,
        "summary": "A network.",
        "model_version": 1,
        "authors": ["nobody"],
        "licence": "Apache-2.0",
        "group": group,
        "hyperparameters": {},
        "parameters": [{"channels": 1, "classes": 2, "size": 28, "count": 24990}],
    }
    if group != "trivial":
        data |= {"exact_at": [28], "approximate_at": [27, 29]}
    return ModelCard.model_validate_json(json.dumps(data))


MODELS = {"p4cnn": model_card("p4cnn", "p4"), "z2cnn": model_card("z2cnn", "trivial")}


class Toy:
    """What the tests of tables need: cards, records, and boards made of them."""

    card = staticmethod(benchmark_card)
    record = staticmethod(record)
    failure = staticmethod(failure)
    models: Mapping[str, ModelCard] = MODELS
    entries = ENTRIES
    protocol = staticmethod(protocol_of)

    @staticmethod
    def digest(entry: str) -> str:
        """The digest of the toy's protocol for an entry."""
        return spec_digest(protocol_of(entry))

    @staticmethod
    def registry(card: BenchmarkCard) -> Registry:
        """The registered cards with this benchmark alone, on a data set of two classes."""
        real = Registry.load()
        datasets = {**real.datasets, card.dataset: real.datasets[card.dataset].model_copy(update={"classes": 2})}
        return replace(real, datasets=datasets, benchmarks={card.name: card})

    @staticmethod
    def board(*found: Record | Failure, kinds: Mapping[int, Any] | None = None, **changes: Any) -> Board:
        """The board of these records, each a seed unless `kinds` says otherwise for its position."""
        models = changes.pop("models", MODELS)
        card = benchmark_card(**changes)
        results = Results()
        for position, item in enumerate(found):
            if isinstance(item, Failure):
                results.failures.append(item)
            else:
                kind = (kinds or {}).get(position, "seed" if item.official else "unofficial")
                results.runs.append(run(item, kind, card))
        expected = {(card.full_name, entry): Toy.digest(entry) for entry in card.entries}
        return boards([card], models, results, expected)[0]

    @staticmethod
    def write(results: Path, item: Record | Failure, name: str | None = None) -> Path:
        """Write a record or failure where it belongs, or under another name."""
        kind = "failed.json" if isinstance(item, Failure) else "json"
        path = results / item.benchmark / item.entry / (name or f"seed-{item.seed}.{kind}")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(item.model_dump_json(indent=1) + "\n", encoding="utf-8")
        return path


@pytest.fixture
def toy() -> Toy:
    return Toy()


@pytest.fixture
def study() -> list[Record]:
    """Three seeds of all four entries: the approximate networks are better upright and worse when turned."""
    accuracies: dict[str, Callable[[int], tuple[float, float]]] = {
        "z2cnn@28": lambda seed: (0.960 + 0.002 * seed, 0.300 + 0.01 * seed),
        "p4cnn@28": lambda seed: (0.940 + 0.003 * seed, 0.940 + 0.003 * seed),
        "p4cnn@27": lambda seed: (0.970 + 0.002 * seed, 0.720 + 0.02 * seed),
        "p4cnn@29": lambda seed: (0.970 + 0.003 * seed, 0.710 + 0.03 * seed),
    }
    verdicts = {"z2cnn@28": ("none", "approximate"), "p4cnn@28": ("exact", "exact")}
    return [
        record(entry, seed, *accuracy(seed), exactness=verdicts.get(entry, ("approximate", "approximate")))
        for entry, accuracy in accuracies.items()
        for seed in range(3)
    ]
