"""The handwritten digits that scikit-learn carries: 8×8 pixels with 17 levels of grey, no download."""

from pathlib import Path

import torch
from sklearn.datasets import load_digits

from gcnnbench.data.parts import Part


def load(folder: Path) -> dict[str, Part]:
    """All 1,797 images in one part, `all`, their values 0…16 stretched to 0…255: `value · 255 / 16`, halves up.

    Args:
        folder: the data directory, not used: the file comes with scikit-learn.

    Returns:
        Images uint8 (1797, 1, 8, 8) and labels int64 (1797,).
    """
    del folder
    digits = load_digits()
    values = torch.from_numpy(digits.images).to(torch.int64)[:, None]
    return {"all": Part(((values * 255 + 8) // 16).to(torch.uint8), torch.from_numpy(digits.target).to(torch.int64))}
