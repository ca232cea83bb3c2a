"""Chooses which seeds of an entry are trained at once: as many as asked for, or as fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

from gcnnbench.runs.cell import Cell
from gcnnbench.runs.checkpoints import Stated
from gcnnbench.runs.estimate import seeds_that_fit
from gcnnbench.runs.state import CellState, start


class Batches:
    """Cuts cells into batches that are trained at once; what fits in memory is measured once an entry.

    Args:
        parallel: how many seeds at once; `auto` takes what fits in memory.
        jobs: processes that share the memory.
        kept: what the checkpoint of a cell says of itself, null where there is none.
    """

    def __init__(
        self, parallel: int | Literal["auto"], jobs: int, kept: Callable[[Cell], Stated | None] = lambda _: None
    ) -> None:
        self.parallel: int | Literal["auto"] = parallel
        self.jobs, self.kept = jobs, kept
        self.fitting: dict[tuple[str, str], int] = {}

    def of(self, cells: Sequence[Cell]) -> Iterator[Sequence[Cell]]:
        """Cells that differ in their seed only, as many at a time as asked for; one by one they keep their order."""
        if self.parallel == 1:
            yield from ([cell] for cell in cells)
            return
        alike: dict[tuple[str, str], list[Cell]] = {}
        for cell in cells:
            alike.setdefault((cell.benchmark, cell.entry), []).append(cell)
        for seeds in alike.values():
            yield from self._cut(seeds, self.at_once(seeds))

    def at_once(self, seeds: Sequence[Cell]) -> int:
        """How many seeds of this entry are trained at once at most."""
        if self.parallel != "auto":
            return self.parallel
        entry = seeds[0].benchmark, seeds[0].entry
        if entry not in self.fitting:
            most = max([len(seeds), *(kept.seeds_at_once for cell in seeds if (kept := self.kept(cell)))])
            self.fitting[entry] = seeds_that_fit(seeds[0], most, self.jobs)
        return self.fitting[entry]

    def _cut(self, seeds: Sequence[Cell], size: int) -> Iterator[Sequence[Cell]]:
        """Along what is kept: a trained seed is only scored; one that was trained with others goes on at its place."""
        new: list[Cell] = []
        begun: dict[int, list[dict[int | None, Cell]]] = {}
        for cell in seeds:
            kept = None if cell.cuda_graphs else self.kept(cell)
            if kept is not None and kept.epochs_done >= cell.card.recipe.epochs:
                yield [cell]
            elif kept is not None and 1 <= kept.seeds_at_once <= size:
                batches = begun.setdefault(kept.seeds_at_once, [])
                batch = next((batch for batch in batches if kept.place not in batch), {})
                if not batch:
                    batches.append(batch)
                batch[kept.place] = cell
            else:
                new.append(cell)
        for width, batches in begun.items():
            for batch in batches:
                free = width - len(batch)
                yield [*batch.values(), *new[:free]]
                del new[:free]
        yield from (new[first : first + size] for first in range(0, len(new), size))


def batch_states(cells: Sequence[Cell], kept: Sequence[CellState | None], at_once: int) -> list[CellState]:
    """The states of these cells: those kept, where all were trained with as many at once, each at a place of its own.

    Else all are new, since bits depend on both. Beside kept ones a new one has a place that is free. Where steps are
    recorded each is trained as it is alone, and goes on from its own.

    Args:
        cells: what is trained as one computation.
        kept: their states; null where there is none.
        at_once: how many seeds may be one computation; it may have more places than there are cells.
    """
    if any(cell.cuda_graphs for cell in cells):
        return [state or start(cell) for cell, state in zip(cells, kept, strict=True)]
    widths = {state.seeds_at_once for state in kept if state is not None}
    places = [state.place for state in kept if state is not None]
    apart = None not in places and len(set(places)) == len(places)
    goes_on = len(widths) == 1 and len(cells) <= min(widths) <= at_once and apart
    width, taken = (min(widths), places) if goes_on else (len(cells), [])
    free = iter([place for place in range(width) if place not in taken])
    return [
        state if state and goes_on else replace(start(cell), seeds_at_once=width, place=next(free))
        for cell, state in zip(cells, kept, strict=True)
    ]
