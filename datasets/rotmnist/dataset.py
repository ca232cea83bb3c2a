"""Rotated MNIST, the published 12,000 and 50,000 images: two text files that are put there by hand."""

from pathlib import Path

import numpy as np
import torch

from gcnnbench.data.parts import Part
from gcnnbench.errors import UserError

FILES = {
    "train": ("mnist_all_rotation_normalized_float_train_valid.amat", 12_000),
    "test": ("mnist_all_rotation_normalized_float_test.amat", 50_000),
}
COLUMNS = 28 * 28 + 1


def load(folder: Path) -> dict[str, Part]:
    """The two parts in the files' order: `train` (train_valid, 12,000) and `test` (50,000).

    A line of a file is an image: 784 grey levels in [0, 1], row by row, and its class.

    Args:
        folder: the data directory, in which the files stand below `rotmnist`.

    Returns:
        Images float32 (images, 1, 28, 28), each value the float32 nearest to the one printed, and labels int64
        (images,) by part.

    Raises:
        UserError: a file does not hold that many lines of 785 numbers, or a number is out of its range.
    """
    return {name: _read(folder / "rotmnist" / file, images) for name, (file, images) in FILES.items()}


def _read(path: Path, images: int) -> Part:
    numbers = np.fromfile(path, dtype=np.float64, sep=" ")  # line ends count as blanks
    if numbers.size != images * COLUMNS:
        raise UserError(
            f"{path} holds {numbers.size:,} numbers; {images:,} lines of {COLUMNS} are {images * COLUMNS:,}"
        )
    table = numbers.reshape(images, COLUMNS)
    pixels, labels = table[:, :-1], table[:, -1]
    if not (pixels.min() >= 0 and pixels.max() <= 1):
        raise UserError(f"{path}: grey levels run from {pixels.min()} to {pixels.max()}; they must lie in [0, 1]")
    if not set(np.unique(labels)) <= set(range(10)):
        raise UserError(f"{path}: the last number of a line must be a class from 0 to 9")
    return Part(
        torch.from_numpy(pixels.astype(np.float32)).reshape(images, 1, 28, 28),
        torch.from_numpy(labels.astype(np.int64)),
    )
