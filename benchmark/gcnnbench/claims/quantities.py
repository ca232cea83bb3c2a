"""Quantities, units and spreads of published numbers, and how one becomes a summary as our records are counted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, StringConstraints

from gcnnbench.cards.base import Model

if TYPE_CHECKING:
    from gcnnbench.statistics import Summary

Quantity = Annotated[
    str,
    StringConstraints(
        pattern=r"^(accuracy\.(upright|rot90|rot180|rot270|seen|unseen|orbit|curve_mean|quarter_turns)"
        r"|auc|parameters|macs)$"
    ),
]
"""A metric of a run; `accuracy.quarter_turns` is the mean over 90, 180 and 270 degrees.

`parameters` is their number, `macs` the multiply-accumulates of one image; both are counts.
"""

COUNTS: Mapping[str, int] = {"count": 1, "thousands": 1_000, "millions": 1_000_000, "billions": 1_000_000_000}
"""Units of counts."""

CurveQuantity = Literal["accuracy.angle", "train_accuracy.epoch", "validation_accuracy.epoch"]
"""Accuracy at test angles in degrees; running training accuracy, or validation accuracy, after epochs of training."""

Unit = Literal["accuracy-percent", "error-percent", "auc-percent", "count", "thousands", "millions", "billions"]

NUMBER = re.compile(r"\d[\d,]*\.?\d*")
"""A number in what is printed."""


class Spread(Model):
    """A published spread: a sample (ddof = 1) or a population deviation, or unsaid.

    It is in the unit of its number, or a fraction printed beside a percentage.
    """

    value: Annotated[float, Field(ge=0)]
    kind: Literal["sample", "population", "unknown"]
    unit: Literal["of-the-number", "fraction"] = "of-the-number"

    @property
    def in_unit(self) -> float:
        """The spread in the unit of its number."""
        return 100 * self.value if self.unit == "fraction" else self.value


def rounds_to(number: float, printed: float, digits: int) -> bool:
    """Whether a number is the printed one, rounded to its digits; at a half either way."""
    return abs(number - printed) <= 0.5 * 10.0**-digits * (1 + 1e-9)


def published(value: float, std: float | None, kind: str, runs: int | None, unit: Unit) -> Summary:
    """A published number as a summary of fractions, or as a count.

    An error becomes an accuracy, a population deviation a sample deviation. Without runs, or without a spread, it is
    one run. A spread of unsaid kind is taken for a sample deviation, the narrower reading.
    """
    from gcnnbench.statistics import Summary, sample_std  # the schema alone needs no numpy

    scale = 1 / COUNTS[unit] if unit in COUNTS else 100.0
    mean = 1 - value / scale if unit == "error-percent" else value / scale
    if std is None or runs is None or runs < 2:
        return Summary(1, mean, None, None)
    std = sample_std(std, runs) if kind == "population" else std
    return Summary(runs, mean, std / scale, None)
