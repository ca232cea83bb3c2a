"""MNIST as torchvision reads and downloads it; more than one data set is made from it."""

from __future__ import annotations

from pathlib import Path

from torchvision.datasets import MNIST

from gcnnbench.data.parts import Part


def load(folder: Path) -> dict[str, Part]:
    """The two parts in the files' order, `train` (60,000) and `test` (10,000).

    Args:
        folder: the data directory, in which the files stand below `MNIST/raw`.

    Returns:
        Images uint8 (images, 1, 28, 28) and labels int64 (images,) by part.

    Raises:
        RuntimeError: a file is missing.
    """
    read = {name: MNIST(str(folder), train=name == "train") for name in ("train", "test")}
    return {name: Part(dataset.data[:, None], dataset.targets) for name, dataset in read.items()}


def fetch(folder: Path) -> None:
    """Download the four files through torchvision, which keeps what is there and checks each archive's md5.

    Args:
        folder: the data directory.

    Raises:
        RuntimeError: no mirror answered, or an archive is not what it should be.
    """
    MNIST(str(folder), train=True, download=True)
