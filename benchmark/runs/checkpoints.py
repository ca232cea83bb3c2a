"""Checkpoints: the state of an unfinished cell on disk, taken up again only where it gives the same bits."""

from __future__ import annotations

import io
from pickle import UnpicklingError

import torch

from benchmark.evaluation import EvaluationState
from benchmark.runs.cell import Cell
from benchmark.runs.running import CellState
from benchmark.runs.store import Store, write_whole
from benchmark.training import TrainingState


def save(store: Store, cell: Cell, state: CellState) -> None:
    """Keep a state; a process killed in the middle leaves the one before it."""
    content = io.BytesIO()
    torch.save({**vars(state), "training": vars(state.training), "evaluation": vars(state.evaluation)}, content)
    write_whole(store.state_path(cell), content.getvalue())


def load(store: Store, cell: Cell) -> CellState | None:
    """The kept state of this cell, if the same protocol made it on the same machine; else null."""
    path = store.state_path(cell)
    if not path.exists():
        return None
    try:
        parts = torch.load(path, map_location="cpu", weights_only=True)
        training, evaluation = TrainingState(**parts.pop("training")), EvaluationState(**parts.pop("evaluation"))
        state = CellState(**parts, training=training, evaluation=evaluation)
    except (UnpicklingError, RuntimeError, TypeError, KeyError, EOFError):
        return None  # made by another version of the suite, or damaged: the cell starts anew
    if (state.digest, state.machine) != (cell.digest, cell.machine):
        return None
    state.sessions += 1
    return state
