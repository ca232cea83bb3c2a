"""Which dimensions of a tensor run over the pixels of the image: followed through views, permutations and merges.

Every dimension of a tensor is a row of factors, outer before inner; a factor runs over rows (`y`), over columns (`x`),
or over something that no element of D4 moves (the empty axis): the batch, channels, a group. So (batch·height·width,
channels) remembers that its first dimension holds pixels, and a later view finds them again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

AxisName = Literal["", "y", "x"]


@dataclass(frozen=True)
class Factor:
    """A part of one dimension, and its length."""

    axis: AxisName
    size: int


Dimension = tuple[Factor, ...]
Dimensions = tuple[Dimension, ...]


def image_dimensions(shape: Sequence[int]) -> Dimensions:
    """Those of images (batch, channels, height, width)."""
    axes: tuple[AxisName, ...] = ("", "", "y", "x")
    return tuple((Factor(axis, size),) for axis, size in zip(axes, shape, strict=True))


def plain(size: int) -> Dimension:
    """A dimension without pixels."""
    return (Factor("", size),)


def axes_of(dimension: Dimension) -> frozenset[AxisName]:
    """The image axes in one dimension."""
    return frozenset(factor.axis for factor in dimension if factor.axis)


def pixels(dimensions: Sequence[Dimension]) -> frozenset[AxisName]:
    """The image axes in these dimensions."""
    return frozenset().union(*(axes_of(dimension) for dimension in dimensions))


def fit(dimensions: Sequence[Dimension], shape: Sequence[int]) -> bool:
    """Whether these can be the dimensions of a tensor of this shape."""
    return list(map(size_of, dimensions)) == list(shape)


def pure_axis(dimension: Dimension) -> AxisName | None:
    """The only axis of a dimension: `y`, `x`, or empty without pixels; None where pixels are merged with others."""
    factors = [factor for factor in dimension if factor.size > 1] or list(dimension)
    if not axes_of(dimension):
        return ""
    return factors[0].axis if len(factors) == 1 else None


def reshaped(dimensions: Dimensions, shape: Sequence[int]) -> Dimensions | None:
    """The dimensions after a view, squeeze or unsqueeze, which keep the order of the entries.

    Returns:
        None where the view cuts rows or columns into pieces, or numbers into their bytes, so that pixels can no longer
        be told.
    """
    if fit(dimensions, shape):
        return dimensions
    waiting = [factor for dimension in dimensions for factor in dimension if factor.size > 1]
    found: list[Dimension] = []
    for size in shape:
        taken: list[Factor] = []
        left = size
        while left > 1:
            if not waiting:
                return None
            factor = waiting.pop(0)
            if left % factor.size == 0:
                taken.append(factor)
                left //= factor.size
            elif factor.size % left == 0 and not factor.axis:
                taken.append(Factor("", left))
                waiting.insert(0, Factor("", factor.size // left))
                left = 1
            else:
                return None
        found.append(tuple(taken) or plain(size))
    return None if waiting else tuple(found)


def expanded(dimensions: Dimensions, shape: Sequence[int]) -> Dimensions:
    """The dimensions after broadcasting to a shape: what is new or was of length one has no pixels."""
    missing = len(shape) - len(dimensions)
    return tuple(
        plain(size) if place < missing or size_of(dimensions[place - missing]) != size else dimensions[place - missing]
        for place, size in enumerate(shape)
    )


def resized(dimension: Dimension, size: int) -> Dimension:
    """A dimension that runs over the same single axis in another length."""
    return (Factor(pure_axis(dimension) or "", size),)


def size_of(dimension: Dimension) -> int:
    """How many entries a dimension has."""
    return math.prod(factor.size for factor in dimension)
