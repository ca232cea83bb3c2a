"""MNIST within ±45°."""

from pathlib import Path

from gcnnbench.data.mnist import fetch
from gcnnbench.data.mnist import load as load_mnist
from gcnnbench.data.parts import Part
from gcnnbench.data.posed import posed

__all__ = ["fetch", "load"]


def load(folder: Path) -> dict[str, Part]:
    """`train` (60,000) and `test` (10,000) in MNIST's order, each image in its pose.

    Args:
        folder: the data directory with MNIST's files.

    Returns:
        Images uint8 (images, 1, 28, 28) and labels int64 (images,) by part.

    Raises:
        RuntimeError: a file is missing.
    """
    return posed(load_mnist(folder), "sector", classes=10)
