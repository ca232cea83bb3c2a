"""Formats the numbers that readers see: percentages, points, intervals, p-values, counts; one rule for each."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from string import ascii_lowercase
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from gcnnbench.statistics import Summary

Noted = TypeVar("Noted", bound=Hashable)

NOTHING = "–"
"""A cell whose reason stands below the table."""

ROUNDING = 1e-12
"""Relative errors below it are rounding in float64."""

TOO_FEW = "too few seeds"
"""In the place of an interval that is wider than the scale: it tells nothing, whatever its ends."""


def share(part: float | None, decimals: int = 2) -> str:
    """A share in per cent; `>99.99` is not all and `<0.01` not none, `100.00` and `0.00` are.

    An end of an interval may lie outside the scale: it is written with its sign.
    """
    if part is None:
        return NOTHING
    text, none, all_ = (f"{100 * one:.{decimals}f}" for one in (part, 0.0, 1.0))
    if text.removeprefix("-") == none:
        return f"<{10**-decimals:.{decimals}f}" if part > 0 else none
    if text == all_ and part < 1:
        return f">{100 - 10**-decimals:.{decimals}f}"
    return text.replace("-", "−")


def percent(found: Summary, decimals: int = 2, *, wide: bool = False, tight: bool = False) -> str:
    """A share in per cent, `97.69 ± 0.17`; one seed has no spread. Wide adds the 95% interval, tight drops spaces."""
    text = share(found.mean, decimals)
    if found.std is not None:
        text += f"{'±' if tight else ' ± '}{share(found.std, decimals)}"
    if wide and found.ci95 is not None:
        low, high = found.ci95
        text += f" [{share(low, decimals)}, {share(high, decimals)}]" if high - low <= 1 else f" [{TOO_FEW}]"
    return text


def error(found: Summary | None, *, wide: bool = False) -> str:
    """An error, `2.1e-15`."""
    if found is None:
        return NOTHING
    spread = f" ± {found.std:.1e}" if wide and found.std is not None else ""
    return f"{found.mean:.1e}{spread}"


def float64_error(error: float | None, decimals: int = 1) -> str:
    """An error measured in float64; of rounding no digits are shown, as every machine has others."""
    if error is None:
        return NOTHING
    return f"< {ROUNDING:.0e}" if error < ROUNDING else f"{error:.{decimals}e}"


def points(difference: float, decimals: int = 2) -> str:
    """A difference in percentage points with its sign, `+0.83`; `<+0.01` and `>−0.01` are some, `0.00` is none."""
    text, none = f"{100 * difference:+.{decimals}f}".replace("-", "−"), f"{0:.{decimals}f}"
    if text[1:] == none:
        least = f"{10**-decimals:.{decimals}f}"
        return f"<+{least}" if difference > 0 else f">−{least}" if difference < 0 else none
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


def how_many(number: int, one: str, several: str = "") -> str:
    """`1 cell`, `2 cells`, `1,797 images`; the second word is said where it is not the first one with an s."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def versions_text(versions: Mapping[str, str]) -> str:
    """Packages with their versions, on one line."""
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def ranges(numbers: Iterable[int]) -> str:
    """`28`, `24–26, 28`."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}–{run[-1]}" for run in runs)


def listed(seeds: tuple[int, ...]) -> str:
    """`seed 3`, `seeds 0–2, 5`."""
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {ranges(seeds)}"


def lettered(things: Iterable[Noted]) -> dict[Noted, str]:
    """A letter for each different thing that stands below a table, in their order: a … z, then a1 … z1, …"""
    found = dict.fromkeys(things)
    rounds = (divmod(place, len(ascii_lowercase)) for place in range(len(found)))
    return {
        thing: f"{ascii_lowercase[letter]}{turn or ''}" for thing, (turn, letter) in zip(found, rounds, strict=True)
    }
