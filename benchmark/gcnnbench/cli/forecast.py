"""The table of `run --dry-run`: what the cells that are to be run would take in time and space."""

from __future__ import annotations

from collections.abc import Sequence
from math import isnan
from typing import Literal

from gcnnbench.errors import UserError
from gcnnbench.formatting import NOTHING, how_many
from gcnnbench.layout import folded, pipes
from gcnnbench.runs.cell import Cell


def forecast_text(
    cells: Sequence[Cell],
    planned: int,
    jobs: int | None,
    *,
    parallel: int | Literal["auto"] = 1,
    elsewhere: bool = False,
) -> tuple[str, bool]:
    """The plan as a table, with time and space estimated from a few steps of each entry; whether all can be run.

    Args:
        cells: those that are to be run.
        planned: how many there are with those that are done.
        jobs: cells at the same time; as many as an engine has room for where None.
        parallel: seeds of an entry that each of these trains at once; how much faster that is was not measured.
        elsewhere: whether an engine runs them on machines that may be others than this one.
    """
    from gcnnbench.runs.estimate import forecast

    if not cells:
        return f"nothing to do: {how_many(planned, 'cell')} planned, all done", True
    by_entry: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        by_entry.setdefault((cell.card.full_name, cell.entry), []).append(cell)
    rows, least, most, committed, kept, scaled, unknown, broken = [], 0.0, 0.0, 0, 0, False, False, list[str]()
    found = forecast([group[0] for group in by_entry.values()])
    for ((benchmark, entry), group), one in zip(by_entry.items(), found, strict=True):
        if isinstance(one, UserError):
            rows.append([benchmark, entry, str(len(group)), *[NOTHING] * 3])
            broken.append(f"{benchmark} {entry} cannot be run: {one}")
            continue
        committed, kept = committed + one.committed * len(group), kept + one.kept * len(group)
        each = one.train_seconds + one.test_seconds
        if isnan(each):
            rows.append([benchmark, entry, str(len(group)), *[NOTHING] * 3])
            unknown = True
            continue
        times = [duration_range(seconds, one.within) for seconds in (one.train_seconds, one.test_seconds)]
        whole = duration_range(each * len(group), one.within)
        about, scaled = "" if one.measured else "~", scaled or not one.measured
        rows.append([benchmark, entry, str(len(group)), *(about + time for time in (*times, whole))])
        least, most = least + each * len(group) / one.within, most + each * len(group) * one.within
    table = pipes((["benchmark", "entry", "cells", "training", "scoring", "all cells"], rows, "llrrrr"))
    middle = (least * most) ** 0.5
    whole = duration_range(middle, most / middle) if middle else "no time"
    time = "time unknown" if unknown else f"{whole} one after another"
    at_once = f"{jobs} at a time" if jobs else "as many at a time as the engine has room for"
    if parallel != 1:
        many = "as many seeds as fit in memory" if parallel == "auto" else f"up to {how_many(parallel, 'seed')}"
        at_once += f", each {many} of an entry at once"
    total = (
        f"{len(cells)} of {how_many(planned, 'cell')} to run on {cells[0].device} with "
        f"{how_many(cells[0].threads, 'thread')} each: "
        f"{time}, {at_once}{'' if elsewhere else ' here'}; "
        f"{committed / 1e6:.1f} MB of records and small weights, "
        f"{kept / 1e6:.0f} MB kept outside git."
    )
    notes = list(broken)
    if unknown:
        place = cells[0].device
        notes.append(f"This machine has no {place}: the same command tells the time on one that has.")
    elif elsewhere:
        notes.append("Measured on this machine; those of the engine may be faster or slower.")
    if parallel != 1 and not unknown:
        said = "which should take less" if cells[0].device == "cuda" else "which pays on a GPU only"
        notes.append(f"Times are of seeds one by one; several at once, {said}, were not measured.")
    if scaled:
        notes.append(
            "~ not measured: scaled by multiply-accumulates from a network that was, or from a bare convolution."
        )
    return "\n".join([table, "", *map(folded, [total, *notes])]), not broken


def duration_range(seconds: float, within: float) -> str:
    """Seconds that may be off by a factor either way, as `6–24 min`."""
    least, most = duration(seconds / within), duration(seconds * within)
    same = least.partition(" ")[2] == most.partition(" ")[2]
    return most if least == most else f"{least.partition(' ')[0] if same else least}–{most}"


def duration(seconds: float) -> str:
    """Seconds as a reader takes them in: `45 s`, `12 min`, `3.5 h`, `2.1 days`."""
    for unit, size, limit in (("s", 1, 90), ("min", 60, 90 * 60), ("h", 3600, 36 * 3600)):
        if seconds < limit:
            return f"{seconds / size:.1f} {unit}" if unit == "h" else f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.1f} days"
