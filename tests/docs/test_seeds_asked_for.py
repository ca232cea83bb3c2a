"""Cards of benchmarks for inference say how many seeds 0.3 points ask for: from the first committed records."""

from __future__ import annotations

from collections.abc import Callable
from statistics import stdev

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.runs.record import Record
from gcnnbench.statistics import Difference, detectable, from_moments, paired, welch
from tests.docs.from_records import records, upright

LEAST = 0.003
MOST = 10_000


def orbit(found: list[Record]) -> list[float]:
    """The mean accuracy over the turns of each record."""
    return [record.metrics["accuracy.orbit"] or 0.0 for record in found]


def a_side(first: list[float], second: list[float], seeds: int) -> Difference:
    """A test of two networks that scatter as these, of so many seeds each."""
    return welch(from_moments(0, stdev(first), seeds), from_moments(0, stdev(second), seeds))


def within(first: list[float], second: list[float], seeds: int) -> Difference:
    """A test within so many seeds whose differences scatter as these."""
    test = paired([one - other for one, other in zip(first, second, strict=True)])
    assert test.error is not None
    error = test.error * (len(first) / seeds) ** 0.5
    return Difference(0.0, None, None, seeds - 1, error)


def fewest(test: Callable[[list[float], list[float], int], Difference], first: list[float], second: list[float]) -> int:
    """The fewest seeds that find `LEAST`, to two figures."""
    low, high = 2, MOST
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if (detectable(test(first, second, middle)) or 1) <= LEAST else (middle + 1, high)
    return round(low, 2 - len(str(low)))


def of_air() -> list[str]:
    runs = records("cifar10-air@1")
    exact, broken, wide = (upright(runs[name][:5]) for name in ("p4-air@33", "p4-air@32", "z2-air-wide@33"))
    told = detectable(a_side(exact, broken, 5)) or 0
    return [
        f"are {100 * stdev(exact):.2f} and {100 * stdev(broken):.2f} points",
        f"asks for some {fewest(a_side, exact, broken):,} seeds a side",
        f"five tell one of {100 * told:.2f};",
        f"z2-air-wide@33, {100 * stdev(wide[:3]):.2f}, for {fewest(a_side, wide[:3], wide[:3])} between",
    ]


def of_turned() -> list[str]:
    runs = records("cifar10-air-turned@1")
    exact, broken = (orbit(runs[name][:2]) for name in ("p4-air@33", "p4-air@32"))
    return [
        f"are {100 * stdev(exact):.2f} and {100 * stdev(broken):.2f} points",
        f"asks for some {fewest(a_side, exact, broken):,} seeds a side",
    ]


def of_pcam() -> list[str]:
    runs = records("pcam-1pct@1")
    exact, broken = (orbit(runs[name][:5]) for name in ("p4-resnet44-pcam@97", "p4-resnet44-pcam@96"))
    differences = [one - other for one, other in zip(exact, broken, strict=True)]
    return [
        f"a deviation of {100 * stdev(differences):.2f} points",
        f"asks for some {fewest(within, exact, broken):,} seeds (",
    ]


def of_digits() -> list[str]:
    runs = records("rotmnist-generated@1")
    group, ordinary = (upright(runs[name][:3]) for name in ("p4cnn@28", "z2cnn@28"))
    return [
        f"are {100 * stdev(group):.2f} and {100 * stdev(ordinary):.2f} points",
        f"asks for {fewest(a_side, group, ordinary)} seeds a side",
    ]


@pytest.mark.parametrize(
    ("name", "phrases"),
    [
        ("cifar10-air", of_air),
        ("cifar10-air-turned", of_turned),
        ("pcam-1pct", of_pcam),
        ("rotmnist-generated", of_digits),
    ],
)
def test_a_card_says_how_many_seeds_a_small_difference_asks_for(name: str, phrases: Callable[[], list[str]]) -> None:
    said = " ".join((Registry.load().benchmark(name).summary or "").split())
    assert [phrase for phrase in phrases() if phrase not in said] == []
