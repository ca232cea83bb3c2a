"""Formats the numbers of tables: percentages, points, intervals, p-values, counts."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from string import ascii_lowercase
from typing import TypeVar

from gcnnbench.statistics import Summary

Noted = TypeVar("Noted", bound=Hashable)

NOTHING = "–"
"""A cell whose reason stands below the table."""


TOO_FEW = "too few seeds"
"""In the place of an interval that is wider than the scale: it tells nothing, whatever its ends."""


def hundredths(share: float) -> str:
    """A share in per cent to two decimals; `>99.99` is not all and `<0.01` not none, `100.00` and `0.00` are."""
    text = f"{100 * share:.2f}"
    if text in ("0.00", "-0.00"):
        return "<0.01" if share > 0 else "0.00"
    return ">99.99" if text == "100.00" and share < 1 else text


def percent(found: Summary, *, wide: bool = False, tight: bool = False) -> str:
    """A share in per cent, `97.69 ± 0.17`; one seed has no spread. Wide adds the 95% interval, tight drops spaces."""
    text = hundredths(found.mean)
    if found.std is not None:
        text += f"{'±' if tight else ' ± '}{hundredths(found.std)}"
    if wide and found.ci95 is not None:
        low, high = found.ci95
        text += f" [{_end(low)}, {_end(high)}]" if high - low <= 1 else f" [{TOO_FEW}]"
    return text


def _end(share: float) -> str:
    """An end of an interval in per cent, which may lie outside the scale."""
    return f"{100 * share:.2f}".replace("-0.00", "0.00").replace("-", "−")


def error(found: Summary | None, *, wide: bool = False) -> str:
    """An error, `2.1e-15`."""
    if found is None:
        return NOTHING
    spread = f" ± {found.std:.1e}" if wide and found.std is not None else ""
    return f"{found.mean:.1e}{spread}"


def points(difference: float) -> str:
    """A difference in percentage points with its sign, `+0.83`; `<+0.01` and `>−0.01` are some, `0.00` is none."""
    text = f"{100 * difference:+.2f}".replace("-", "−")
    if text in ("+0.00", "−0.00"):
        return "<+0.01" if difference > 0 else ">−0.01" if difference < 0 else "0.00"
    return text


def interval(ends: tuple[float, float] | None) -> str:
    """An interval of a difference in percentage points."""
    if ends is None:
        return NOTHING
    return f"[{points(ends[0])}, {points(ends[1])}]" if ends[1] - ends[0] <= 1 else TOO_FEW


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
