"""Chooses which seeds of an entry are trained at once: as many as asked for, or as fit in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from gcnnbench.runs.cell import Cell
from gcnnbench.runs.estimate import seeds_that_fit
from gcnnbench.runs.state import CellState, start


class Batches:
    """Cuts cells into batches that are trained at once; what fits in memory is measured once an entry.

    Args:
        parallel: how many seeds at once; `auto` takes what fits in memory.
        jobs: processes that share the memory.
    """

    def __init__(self, parallel: int | Literal["auto"], jobs: int) -> None:
        self.parallel: int | Literal["auto"] = parallel
        self.jobs = jobs
        self.fitting: dict[tuple[str, str], int] = {}

    def of(self, cells: Sequence[Cell]) -> Iterator[Sequence[Cell]]:
        """Cells that differ in their seed only, as many at a time as asked for; one by one they keep their order."""
        if self.parallel == 1:
            yield from ([cell] for cell in cells)
            return
        alike: dict[tuple[str, str], list[Cell]] = {}
        for cell in cells:
            alike.setdefault((cell.benchmark, cell.entry), []).append(cell)
        for entry, seeds in alike.items():
            if self.parallel == "auto" and entry not in self.fitting:
                self.fitting[entry] = seeds_that_fit(seeds[0], len(seeds), self.jobs)
            size = self.fitting[entry] if self.parallel == "auto" else self.parallel
            yield from (seeds[first : first + size] for first in range(0, len(seeds), size))


def batch_states(cells: Sequence[Cell], kept: Sequence[CellState | None]) -> list[CellState]:
    """The states of these cells: those kept, where all were trained so far by as many at once, else new ones.

    Where steps are recorded each is trained as it is alone, and goes on from its own.
    """
    if cells[0].cuda_graphs:
        return [state or start(cell) for cell, state in zip(cells, kept, strict=True)]
    found = [state for state in kept if state is not None and state.seeds_at_once == len(cells)]
    if len(found) == len(cells) and len({state.training.epochs_done for state in found}) == 1:
        return found
    states = [start(cell) for cell in cells]
    for state in states:
        state.seeds_at_once = len(cells)
    return states
