"""Data sets made from another one by giving each image a pose: in a sector, on the circle, in quarter turns, in halves.

Poses come from Python's `Random`, whose sequence Python guarantees, so they are the same on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Literal

import torch
from torch import Tensor

from gcnnbench.data.parts import Part
from gcnnbench.data.rotate import rotate

Load = Callable[[Path], dict[str, Part]]
Condition = Literal["sector", "circle", "quarter", "halves"]

SEED = 2020
SECTOR = 90
"""Degrees from one end of the sector to the other: ±45° about upright."""
CHUNK = 1000


def posed(parts: Mapping[str, Part], condition: Condition, classes: int) -> dict[str, Part]:
    """Each image in a pose of its own, drawn alike for all parts.

    For each image, in the order of the parts, two numbers u and v are drawn from [0, 1). `sector`: turned by
    (u − ½)·90° counter-clockwise; `circle`: by 360°·u; `quarter`: by ⌊4u⌋ quarter turns, index-exact; `halves`: by
    (u − ½)·90° and, where v ≥ ½, by an index-exact half-turn after it, which adds `classes` to the label. Other turns
    are bilinear in float64 on the 8-bit values with 0 outside, rounded to the nearest integer.

    Args:
        parts: images uint8 (images, channels, size, size) and labels by part.
        condition: which poses.
        classes: the number of classes of the labels given.

    Returns:
        Parts of the same names, sizes and order.
    """
    random = Random(SEED)
    found: dict[str, Part] = {}
    for name, part in parts.items():
        draws = torch.tensor([(random.random(), random.random()) for _ in range(len(part))], dtype=torch.float64)
        images, labels = part.images, part.labels
        if condition == "quarter":
            images = _turned(images, (4 * draws[:, 0]).floor().to(torch.int64))
        else:
            images = _rotated(images, 360 * draws[:, 0] if condition == "circle" else (draws[:, 0] - 0.5) * SECTOR)
        if condition == "halves":
            half = (draws[:, 1] >= 0.5).to(torch.int64)
            images, labels = _turned(images, 2 * half), labels + classes * half
        found[name] = Part(images, labels)
    return found


def posed_from(load: Load, condition: Condition, classes: int) -> Load:
    """The loader of a data set whose images are those of another one, in its order, each in its pose; see `posed`."""
    return lambda folder: posed(load(folder), condition, classes)


def _rotated(images: Tensor, degrees: Tensor) -> Tensor:
    chunks = zip(torch.split(images, CHUNK), torch.split(degrees, CHUNK), strict=True)
    return torch.cat([rotate(some.to(torch.float64), angles).round_().to(torch.uint8) for some, angles in chunks])


def _turned(images: Tensor, quarters: Tensor) -> Tensor:
    turned = images.clone()
    for quarter in (1, 2, 3):
        turned[quarters == quarter] = images[quarters == quarter].rot90(quarter, (-2, -1))
    return turned
