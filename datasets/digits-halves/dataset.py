"""Handwritten digits upright or on their heads."""

from pathlib import Path

from gcnnbench.data.parts import Part
from gcnnbench.data.posed import posed
from gcnnbench.datasets.digits.dataset import load as load_digits


def load(folder: Path) -> dict[str, Part]:
    """All 1,797 images in one part, `all`, each in its pose.

    Args:
        folder: the data directory, not used: the file comes with scikit-learn.

    Returns:
        Images uint8 (1797, 1, 8, 8) and labels int64 (1797,).
    """
    return posed(load_digits(folder), "halves", classes=10)
