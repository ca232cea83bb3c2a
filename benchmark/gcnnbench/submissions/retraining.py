"""Trains cells of a bundle again, drawn when it cannot change any more, and grades their records by what comes out."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from gcnnbench.formatting import how_many, share
from gcnnbench.record_checks.retraining import compare_elsewhere, different, other_stack
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.measured import Checked
from gcnnbench.runs.record import Record
from gcnnbench.submissions.findings import Finding, Refused

Wanted = int | Literal["all"]
Graded = tuple[Checked, str]


def draw(cells: Sequence[Cell], wanted: Wanted) -> list[Cell]:
    """Cells to train again, drawn when a bundle is there and cannot change any more: nobody can steer the draw.

    Args:
        cells: of the bundle.
        wanted: how many, or all.
    """
    if wanted == "all" or wanted >= len(cells):
        return list(cells)
    chosen = random.SystemRandom().sample(range(len(cells)), wanted)
    return [cells[place] for place in sorted(chosen)]


def drawn_in_words(drawn: Sequence[Cell], cells: Sequence[Cell]) -> str:
    """What was drawn, and what that cannot show."""
    names = ", ".join(cell.name for cell in drawn)
    if len(drawn) == len(cells):
        return f"all cells are trained again: {names}"
    missed = f"a single false cell would be missed {share(1 - len(drawn) / len(cells), 0)}% of the time"
    return f"drawn here and now to be trained again, of {how_many(len(cells), 'cell')}: {names}; {missed}"


def grades_of(
    drawn: Sequence[Cell], recorded: Callable[[Cell], Record], train: Callable[[Cell], Record]
) -> Iterator[tuple[Cell, Graded]]:
    """Train cells again and grade their records, the cells of an entry together where their bits differ.

    Args:
        drawn: the cells.
        recorded: the record of a cell.
        train: trains a cell.

    Raises:
        Refused: a record is not what its cell gives.
    """
    for name in dict.fromkeys((cell.benchmark, cell.entry) for cell in drawn):
        cells = [cell for cell in drawn if (cell.benchmark, cell.entry) == name]
        made = {cell.seed: train(cell) for cell in cells}
        grades = {cell.seed: _on_this_stack(cell, recorded(cell), made[cell.seed]) for cell in cells}
        elsewhere = [cell for cell in cells if grades[cell.seed] is None]
        graded = _on_another_stack(elsewhere, recorded, made) if elsewhere else ("re-trained", "")
        for cell in cells:
            yield cell, grades[cell.seed] or graded


def _on_this_stack(cell: Cell, record: Record, made: Record) -> Graded | None:
    """The grade of a record made on this stack; None where it names another one and the bits differ."""
    differences = list(different(record, made))
    if not differences:
        return "re-trained", "trained again: the same bits"
    if any(other_stack(record.provenance, made.provenance)):
        return None
    remedy = "bring records that the recipe gives"
    raise Refused(
        Finding(check="retrain", what=f"{cell.name}: trained again on the same stack: {what}", remedy=remedy)
        for what in differences
    )


def _on_another_stack(cells: Sequence[Cell], recorded: Callable[[Cell], Record], made: Mapping[int, Record]) -> Graded:
    metric = cells[0].card.rank_by
    pairs = [(recorded(cell).metrics.get(metric), made[cell.seed].metrics.get(metric)) for cell in cells]
    whole = [(then, now) for then, now in pairs if then is not None and now is not None]
    found = compare_elsewhere(metric, [then for then, _ in whole], [now for _, now in whole])
    if found.verdict == "differs":
        what = f"{cells[0].card.full_name} {cells[0].entry}: {found.why}"
        raise Refused([Finding(check="retrain", what=what, remedy="bring records that the recipe gives")])
    if found.verdict == "agrees":
        return "re-trained within tolerance", found.why
    more = "; --retrain all trains every seed" if len(whole) < cells[0].card.seeds else ""
    return "undecided", f"{found.why}{more}"
