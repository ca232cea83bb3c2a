"""Records of a small network that is really trained, for tests that hold them against weights and seeds."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
from torch import Tensor

from gcnnbench.cards.registry import Registry
from gcnnbench.record_checks.conditions import Conditions
from gcnnbench.record_checks.grading import Grading
from gcnnbench.record_checks.recomputing import verify_records
from gcnnbench.record_checks.rescoring import Scores, score
from gcnnbench.record_checks.rows import Chosen, RecordRow
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_cell
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.record import Record
from gcnnbench.runs.store import Store
from gcnnbench.scoring.metrics import metrics

TINY = Path(__file__).parent / "runs" / "tiny.yaml"
ENTRY = "p4cnn@9"


@dataclass
class Trained:
    """Two seeds of a small approximate network, really trained, and what the first one's weights give."""

    registry: Registry
    results: Path
    cells: list[Cell]
    finished: list[Finished]
    scores: Scores

    def weights(self, seed: int) -> dict[str, Tensor]:
        return safetensors.torch.load(self.finished[seed].weights)

    @property
    def outputs(self) -> dict[str, Tensor]:
        return safetensors.torch.load(self.finished[0].outputs)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    registry = Registry.load([TINY])
    tiny = registry.benchmark("tiny").model_copy(update={"entries": (ENTRY,), "seeds": 2})
    registry = replace(registry, benchmarks={**registry.benchmarks, "tiny": tiny})
    cells = [Cell(registry, "tiny", ENTRY, seed, "cpu", 1, folder / "data") for seed in (0, 1)]
    finished = []
    for cell in cells:
        *_, last = run_cell(cell)
        assert isinstance(last, Finished)
        Store(folder / "results").add(cell, last)
        finished.append(last)
    scores = score(cells[0], safetensors.torch.load(finished[0].weights), Conditions.all)
    return Trained(registry, folder / "results", cells, finished, scores)


def edited(record: Record, **changes: Any) -> Record:
    """The record with some fields replaced, `a__b=value` for the field b of a; its metrics follow its counts."""
    data = json.loads(record.model_dump_json())
    for key, value in changes.items():
        *parents, last = key.split("__")
        here = data
        for parent in parents:
            here = here[int(parent) if isinstance(here, list) else parent]
        here[int(last) if isinstance(here, list) else last] = value
    made = Record.model_validate_json(json.dumps(data))
    found = metrics(made.counts, ["upright"], invariance_error=made.equivariance.after.invariance_error)
    return made.model_copy(update={"metrics": found})


@pytest.fixture
def results(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the results, for a test to change."""
    shutil.copytree(trained.results, tmp_path / "results")
    return tmp_path / "results"


def graded(trained: Trained, results: Path, *, conditions: Conditions | None, seed: int | None = None) -> RecordRow:
    """The row of seed 0 after a deeper grade."""
    further = Grading(trained.registry, results, results / "data", conditions, seed, None, lambda _: None)
    (row,) = verify_records(trained.registry, results, Chosen(seeds=(0,)), further)
    return row
