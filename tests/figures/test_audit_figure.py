"""The figure of an audit says of each size what the audit's table says of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import nn

from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.wording import words
from gcnnbench.figures.audit import Reading, against_depth, against_size, figure
from gcnnbench.figures.style import COLOURS, styled


def plain(size: int) -> nn.Module:
    """Ordinary filters: no size makes it equivariant, though measurement alone calls it approximate."""
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * size * size, 3))


def test_sizes_are_marked_by_what_the_table_reads() -> None:
    found = audit(plain, [8, 9], channels=1)
    assert {row.decision for row in found.sizes} == {"approximate"}
    read = [words(found, row) for row in found.sizes]
    assert read == ["not equivariant"] * 2
    with styled():
        made = figure(Reading(found, read), against_size)
    (axes,) = made.axes
    (points,) = axes.get_lines()
    assert points.get_label() == "not equivariant"
    assert points.get_color() == COLOURS["none"][0]
    assert np.asarray(points.get_xdata()).tolist() == [8, 9]


def test_a_contradiction_is_not_drawn_as_what_was_measured() -> None:
    found = audit(plain, [8, 9], channels=1)
    found = replace(found, sizes=(replace(found.sizes[0], disagreement=True), found.sizes[1]))
    reading = Reading(found, [words(found, row) for row in found.sizes])
    with styled():
        made = figure(reading, against_depth)
    labels = [line.get_label() for line in made.axes[0].get_lines()]
    assert labels == ["8, contradictory", "9, not equivariant"]
