"""How one number of a table is written."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from string import ascii_lowercase
from typing import TypeVar

from benchmark.statistics import Summary

Noted = TypeVar("Noted", bound=Hashable)

NOTHING = "–"
"""A cell whose reason stands below the table."""


def percent(found: Summary, *, wide: bool = False, tight: bool = False) -> str:
    """A share in per cent, `97.69 ± 0.17`; one seed has no spread. Wide adds the 95% interval, tight drops spaces."""
    text = f"{100 * found.mean:.2f}"
    if found.std is not None:
        text += f"{'±' if tight else ' ± '}{100 * found.std:.2f}"
    if wide and found.ci95 is not None:
        text += f" [{100 * found.ci95[0]:.2f}, {100 * found.ci95[1]:.2f}]"
    return text


def error(found: Summary | None, *, wide: bool = False) -> str:
    """An error, `2.1e-15`."""
    if found is None:
        return NOTHING
    spread = f" ± {found.std:.1e}" if wide and found.std is not None else ""
    return f"{found.mean:.1e}{spread}"


def points(difference: float) -> str:
    """A difference in percentage points with its sign, `+0.83`."""
    return f"{100 * difference:+.2f}".replace("-", "−")


def interval(ends: tuple[float, float] | None) -> str:
    """An interval in percentage points."""
    return f"[{points(ends[0])}, {points(ends[1])}]" if ends else NOTHING


def probability(p: float | None) -> str:
    """A p, to three decimals where it has them."""
    if p is None:
        return NOTHING
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}" if p >= 1e-99 else "<1e-99"


def count(number: float | None) -> str:
    """A count with thousands set apart."""
    return f"{number:,.0f}" if number is not None else NOTHING


def listed(seeds: tuple[int, ...]) -> str:
    """`seed 3`, `seeds 0–2, 5`."""
    runs: list[list[int]] = []
    for seed in sorted(seeds):
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    spans = [str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs]
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(spans)}"


def lettered(things: Iterable[Noted]) -> dict[Noted, str]:
    """A letter for each different thing that stands below a table, in their order: a … z, then a1 … z1, …"""
    found = dict.fromkeys(things)
    rounds = (divmod(place, len(ascii_lowercase)) for place in range(len(found)))
    return {
        thing: f"{ascii_lowercase[letter]}{turn or ''}" for thing, (turn, letter) in zip(found, rounds, strict=True)
    }
