"""Sentences of the findings on rotated digits whose numbers `compare` prints and no table, made from the records."""

from __future__ import annotations

from collections.abc import Iterator

from gcnnbench.formatting import percent, probability
from gcnnbench.statistics import detectable, welch
from tests.docs.from_records import ahead, networks

BOARD = "rotmnist-generated@1"


def of_rotated_digits() -> Iterator[str]:
    """Both networks upright and over the curve, and what could have been told."""
    exact, ordinary = networks(BOARD, "accuracy.upright")
    least = detectable(welch(exact, ordinary))
    assert least is not None
    told = f"{ahead(BOARD, 'accuracy.upright')} points (p = {probability(welch(exact, ordinary).p)})"
    yield f"{percent(exact)} of the test images as they are beside {percent(ordinary)}, {told}"
    yield f"a difference of {100 * least:.2f} would have been found with probability 0.8"
    exact, ordinary = networks(BOARD, "accuracy.curve_mean")
    yield f"{percent(exact)} beside {percent(ordinary)}, {ahead(BOARD, 'accuracy.curve_mean')}"


def of_the_answer() -> Iterator[str]:
    """By how much the exact network is ahead of the ordinary one on rotated digits."""
    yield f"about as many parameters by {ahead(BOARD, 'accuracy.upright')} points"
