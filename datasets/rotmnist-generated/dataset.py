"""Rotated MNIST made anew from MNIST: the recipe of Larochelle et al. (2007), not their files."""

from pathlib import Path
from random import Random

import torch

from gcnnbench.data.mnist import fetch
from gcnnbench.data.mnist import load as load_mnist
from gcnnbench.data.parts import Part
from gcnnbench.data.rotate import rotate

__all__ = ["fetch", "load"]

SEED = 2007
SIZES = {"train": 12_000, "test": 50_000}
CHUNK = 1000


def load(folder: Path) -> dict[str, Part]:
    """Make `train` (12,000) and `test` (50,000) from MNIST, the same on every machine and under every version.

    MNIST's 60,000 training and 10,000 test images, in this order, are ranked by 70,000 numbers of Python's
    `Random(2007).random()`, whose sequence Python guarantees; the 12,000 lowest, lowest first, train, and the next
    50,000 test. 62,000 further numbers u give each of them, in this order, its angle, 360°·u counter-clockwise. Each is
    rotated once, bilinear in float64 on the 8-bit values with 0 outside, and rounded to the nearest integer.

    Args:
        folder: the data directory with MNIST's files.

    Returns:
        Images uint8 (images, 1, 28, 28) and labels int64 (images,) by part.

    Raises:
        RuntimeError: a file is missing.
    """
    random = Random(SEED)
    mnist = load_mnist(folder)
    images = torch.cat([mnist[name].images for name in ("train", "test")])
    labels = torch.cat([mnist[name].labels for name in ("train", "test")])
    ranks = torch.tensor([random.random() for _ in range(len(images))], dtype=torch.float64)
    chosen = ranks.argsort(stable=True)[: sum(SIZES.values())]
    degrees = torch.tensor([360 * random.random() for _ in range(len(chosen))], dtype=torch.float64)
    rotated = torch.cat(
        [
            rotate(images[some].to(torch.float64), angles).round_().to(torch.uint8)
            for some, angles in zip(torch.split(chosen, CHUNK), torch.split(degrees, CHUNK), strict=True)
        ]
    )
    made = Part(rotated, labels[chosen])
    return {"train": made.select(slice(SIZES["train"])), "test": made.select(slice(SIZES["train"], None))}
