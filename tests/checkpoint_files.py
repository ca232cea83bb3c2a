"""The checkpoint of a cell written and taken up in one step, as a turn and its store do it in two."""

from __future__ import annotations

from gcnnbench.runs.cell import Cell
from gcnnbench.runs.checkpoints import dump, read, taken_up
from gcnnbench.runs.state import CellState
from gcnnbench.runs.store import Store


def save(store: Store, cell: Cell, state: CellState) -> None:
    store.write(store.state_path(cell), dump(state))


def load(store: Store, cell: Cell) -> tuple[CellState | None, str | None]:
    """The state, or in words why one that is there is not gone on from; both null where there is none."""
    content, why = read(store, cell)
    return (None, why) if content is None else taken_up(content, cell)
