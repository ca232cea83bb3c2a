"""Timing candidates in turn, so that whatever else the machine does meets all of them alike; ratios of medians."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles

Work = Callable[[], object]
"""What is timed; whatever it starts must have ended when it returns."""

SHORTEST = 0.005
"""Seconds that one reading of the clock covers at least; shorter work is repeated within it."""


@dataclass(frozen=True)
class Timing:
    """The seconds that one candidate took in each round."""

    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median over the rounds."""
        return median(self.seconds)


@dataclass(frozen=True)
class Ratio:
    """A ratio of medians, and the quartiles of the ratios of single rounds."""

    value: float
    low: float
    high: float


def interleaved(
    candidates: Mapping[str, Work], *, seconds: float, least: int = 5, most: int = 200
) -> dict[str, Timing]:
    """Time candidates in rounds; every round starts with another one, and all are run once before.

    Args:
        candidates: what is timed, by name.
        seconds: about how long all of it may take; it takes longer where the fewest rounds do.
        least: the fewest rounds.
        most: the most rounds.

    Returns:
        The timing of each candidate; reading r of all of them was taken in round r.
    """
    repeats = {name: _repeats(work) for name, work in candidates.items()}
    found: dict[str, list[float]] = {name: [] for name in candidates}
    order, start, rounds = list(candidates), time.perf_counter(), 0
    while rounds < least or (rounds < most and _goes_on(time.perf_counter() - start, rounds, seconds)):
        for name in order:
            work, repeat = candidates[name], repeats[name]
            before = time.perf_counter()
            for _ in range(repeat):
                work()
            found[name].append((time.perf_counter() - before) / repeat)
        order.append(order.pop(0))
        rounds += 1
    return {name: Timing(tuple(taken)) for name, taken in found.items()}


def ratio(one: Timing, other: Timing) -> Ratio:
    """How much longer `one` takes than `other`.

    Args:
        one: the numerator.
        other: the denominator, timed in the same rounds.
    """
    rounds = [a / b for a, b in zip(one.seconds, other.seconds, strict=True)]
    low, _, high = quantiles(rounds, n=4) if len(rounds) > 1 else (rounds[0],) * 3
    return Ratio(one.median / other.median, low, high)


def _goes_on(elapsed: float, rounds: int, seconds: float) -> bool:
    """Whether another round fits."""
    return elapsed * (rounds + 1) / rounds <= seconds


def _repeats(work: Work) -> int:
    """Run once to warm up, and say how often a reading must repeat the work to be long enough."""
    work()
    before = time.perf_counter()
    work()
    return max(1, round(SHORTEST / max(time.perf_counter() - before, 1e-9)))
