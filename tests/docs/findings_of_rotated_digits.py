"""Sentences of the findings on rotated digits whose numbers `compare` prints and no table, made from the records."""

from __future__ import annotations

from collections.abc import Iterator

from gcnnbench.formatting import interval, percent, points, probability
from gcnnbench.statistics import Summary, detectable, summary, welch
from tests.docs.from_records import records


def networks(metric: str) -> tuple[Summary, Summary]:
    """The exact network and the ordinary one."""
    runs = records("rotmnist-generated@1")
    exact, ordinary = (
        summary([record.metrics[metric] or 0.0 for record in runs[entry]]) for entry in ("p4cnn@28", "z2cnn@28")
    )
    return exact, ordinary


def ahead(metric: str) -> str:
    """By how much the exact one is ahead, with its interval."""
    test = welch(*networks(metric))
    return f"{points(test.difference)} {interval(test.interval)}"


def of_rotated_digits() -> Iterator[str]:
    """Both networks upright and over the curve, and what could have been told."""
    exact, ordinary = networks("accuracy.upright")
    least = detectable(welch(exact, ordinary))
    assert least is not None
    told = f"{ahead('accuracy.upright')} points (p = {probability(welch(exact, ordinary).p)})"
    yield f"{percent(exact)} of the test images as they are beside {percent(ordinary)}, {told}"
    yield f"a difference of {100 * least:.2f} would have been found with probability 0.8"
    exact, ordinary = networks("accuracy.curve_mean")
    yield f"{percent(exact)} beside {percent(ordinary)}, {ahead('accuracy.curve_mean')}"


def of_the_answer() -> Iterator[str]:
    """By how much the exact network is ahead of the ordinary one on rotated digits."""
    yield f"about as many parameters by {ahead('accuracy.upright')} points"
