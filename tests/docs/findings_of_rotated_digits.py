"""Sentences of the findings on rotated digits whose numbers `compare` prints and no table, made from the records."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gcnnbench.formatting import percent, points, probability
from gcnnbench.statistics import detectable, summary, welch
from tests.docs.from_records import ROOT, ahead, networks, records, upright

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
    runs = records(BOARD)
    (mirrored,) = runs["p4mcnn@28"]
    (here,) = upright([mirrored])
    assert here < min(upright(runs["p4cnn@28"]))
    assert abs(mirrored.cost.parameters / runs["p4cnn@28"][0].cost.parameters - 1) < 0.04
    assert mirrored.metrics["flips"] == 0
    above = points(here - summary(upright(runs["z2cnn@28"])).mean).removeprefix("+")
    yield f"has {100 * here:.2f} of the test images"
    yield f"{above} points above the mean of the ordinary network"
    (first,) = upright([run for run in runs["z2cnn@28"] if run.seed == 0])
    told = " ".join((ROOT / "docs/studies/results/trained_again.txt").read_text("utf-8").split())
    (again,) = re.findall(rf"accuracy.upright {first} recorded, ([\d.]+) trained again", told)
    yield f"as {100 * float(again):.2f} where {100 * first:.2f} is recorded"
    assert "trained again: the same bits" in told.partition("--benchmark rotmnist-generated")[0]


def of_the_answer() -> Iterator[str]:
    """By how much the exact network is ahead of the ordinary one on rotated digits."""
    yield f"about as many parameters by {ahead(BOARD, 'accuracy.upright')} points"
