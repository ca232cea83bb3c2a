"""A results directory as a finished run leaves it: records, weights and tables that agree in every number."""

from __future__ import annotations

import hashlib
import json
import shutil
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

from gcnnbench.cards.model_card import ParameterCount
from gcnnbench.cards.registry import Registry
from gcnnbench.leaderboard import tables
from gcnnbench.record_checks.rates_and_macs import mac_count
from gcnnbench.runs.record import Record, Weights
from gcnnbench.runs.spec import spec
from tests.toy_records import Toy

ENTRIES = ("p4cnn@28", "p4cnn@27", "z2cnn@28")
SEEDS = 3
CLASSES = 2
PARAMETERS = {"p4cnn": 24990, "z2cnn": 25570}


class Study:
    """Records of a made-up benchmark `toy@2` in the real registry, on disk."""

    def __init__(self, folder: Path) -> None:
        self.results = folder
        real = Registry.load()
        evaluation = {"group": "p4", "seen": ["upright"], "equivariance_images": 8}
        fill = {"value": 0.0, "scale": "before-normalisation"}
        split = {"train": {"part": "all", "images": 100}, "test": {"part": "all", "images": 1000}, "shuffle": "seed"}
        self.card = Toy.card(
            entries=list(ENTRIES),
            seeds=SEEDS,
            split=split,
            input={"channels": 3, "resize": "none", "mean": [0.0] * 3, "std": [1.0] * 3},
            evaluation={**evaluation, "curve": {"step": 90, "fill": fill}},
        )
        digits = real.datasets["digits"].model_copy(update={"classes": CLASSES})
        models = {slug: real.models[slug] for slug in PARAMETERS}
        for slug, count in PARAMETERS.items():
            sizes = tuple(ParameterCount(channels=3, classes=CLASSES, size=size, count=count) for size in (27, 28))
            models[slug] = models[slug].model_copy(update={"parameters": sizes})
        self.registry = Registry(
            models, {**real.datasets, "digits": digits}, {"toy": self.card}, real.paths, real.bibliography
        )
        self.count = mac_count(self.registry)

    def record(self, entry: str, seed: int, upright: float, turned: float, **changes: Any) -> Record:
        """A record whose protocol, counts, metrics, history and parameters agree."""
        protocol = spec(self.registry, self.card, entry)
        made = Toy.record(entry, seed, upright, turned, spec=protocol)
        data = json.loads(made.model_dump_json())
        data["cost"]["macs"] = self.count(made)
        data["cost"]["parameters"] = PARAMETERS[entry.partition("@")[0]]
        data["equivariance"]["relaxation"] = {"logits": 0.0}
        return Record.model_validate_json(json.dumps(data | changes))

    def add(self, record: Record) -> Path:
        """Write a record and weights of its own."""
        random = np.random.default_rng([*record.entry.encode(), record.seed])
        content = save({"weight": random.normal(size=record.cost.parameters).astype(np.float32)})
        weights = Weights(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content), committed=True)
        record = record.model_copy(update={"weights": weights})
        path = Toy.write(self.results, record)
        path.with_suffix(".safetensors").write_bytes(content)
        return path

    def path(self, entry: str = "p4cnn@28", seed: int = 0) -> Path:
        """Where a record is."""
        return self.results / "toy@2" / entry / f"seed-{seed}.json"

    def edit(self, which: str, number: int, /, **changes: Any) -> None:
        """Replace fields of a record, `a__b=value` for the field b of a."""
        path = self.path(which, number)
        data = json.loads(path.read_text("utf-8"))
        for key, value in changes.items():
            *parents, last = key.split("__")
            here = data
            for parent in parents:
                here = here[parent]
            here[last] = value
        path.write_text(json.dumps(data), "utf-8")

    def write_tables(self) -> None:
        """Keep the tables, as `leaderboard --write` does."""
        folder = self.results / tables.TABLES
        folder.mkdir(exist_ok=True)
        for board in tables.leaderboard(self.registry, self.results)[0]:
            for name, text in tables.table_files(board).items():
                (folder / name).write_text(text, "utf-8")


@pytest.fixture(scope="session")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Nine records, their weights and tables, made once."""
    made = Study(tmp_path_factory.mktemp("honest"))
    accuracies = {"p4cnn@28": (0.9, 0.9), "p4cnn@27": (0.95, 0.6), "z2cnn@28": (0.96, 0.3)}
    for entry, (upright, turned) in accuracies.items():
        for seed in range(SEEDS):
            made.add(made.record(entry, seed, upright + seed / 500, turned + seed / 500))
    made.write_tables()
    return made


@pytest.fixture
def study(honest: Study, tmp_path: Path) -> Study:
    """A copy of the honest results, for a test to change."""
    shutil.copytree(honest.results, tmp_path / "results")
    copied = copy(honest)
    copied.results = tmp_path / "results"
    return copied
