"""A checkpoint that is not whole is never gone on from: the cell starts anew and says so."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_cell
from gcnnbench.runs.state import CellState, start
from gcnnbench.runs.store import Store
from tests import checkpoint_files
from tests.soak.damage import damages


@pytest.fixture(scope="module")
def halfway(tiny_registry: Registry) -> tuple[Cell, CellState]:
    cell = Cell(tiny_registry, "tiny", "z2cnn@8", 0, "cpu", 1, Path("unused"))
    state = start(cell)
    steps = run_cell(cell, state)
    next(steps), next(steps)
    return cell, state


def test_no_damaged_checkpoint_is_gone_on_from(
    halfway: tuple[Cell, CellState], tmp_path: Path, whole: bool, draws: random.Random, counted: Counter[str]
) -> None:
    cell, state = halfway
    store = Store(tmp_path)
    checkpoint_files.save(store, cell, state)
    path = store.state_path(cell)
    kept = path.read_bytes()
    found, why = checkpoint_files.load(store, cell)
    assert found is not None, why
    for kind, damaged in damages(kept, draws, 800 if whole else 60):
        path.write_bytes(damaged)
        found, why = checkpoint_files.load(store, cell)
        counted["damaged checkpoints"] += 1
        counted["refused with a reason"] += found is None and bool(why)
        counted["used"] += found is not None
        assert found is None, f"{kind}: gone on from"
        assert why is not None
        assert why.startswith("its checkpoint ")
    assert counted["refused with a reason"] == counted["damaged checkpoints"]


def test_a_damaged_checkpoint_of_right_digest_is_not_gone_on_from(
    halfway: tuple[Cell, CellState], tmp_path: Path
) -> None:
    """Another version of the suite writes other states under a digest that is right."""
    cell, state = halfway
    store = Store(tmp_path)
    vars(state)["unknown"] = 1
    checkpoint_files.save(store, cell, state)
    del vars(state)["unknown"]
    found, why = checkpoint_files.load(store, cell)
    assert found is None
    assert "of another form than this suite keeps" in str(why)
