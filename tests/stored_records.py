"""What a store holds of cells: the records of seeds, and failures."""

from __future__ import annotations

from gcnnbench.runs.cell import Cell
from gcnnbench.runs.files import read_files
from gcnnbench.runs.record import Failure, Record
from gcnnbench.runs.store import Store


def record(store: Store, cell: Cell) -> Record:
    found = store.record(cell)
    assert found is not None
    return found


def records(store: Store) -> list[Record]:
    """The records of seeds."""
    files = read_files(store.results)
    return [file.content for file in files if isinstance(file.content, Record) and file.kind == "seed"]


def failures(store: Store) -> list[Failure]:
    return [file.content for file in read_files(store.results) if isinstance(file.content, Failure)]
