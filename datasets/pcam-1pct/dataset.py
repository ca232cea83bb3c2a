"""The sample of PatchCamelyon of the data set pcam-sample as one part, to be split into folds."""

from pathlib import Path

import torch

from gcnnbench.data.parts import Part
from gcnnbench.data.pcam import read_patches


def load(folder: Path) -> dict[str, Part]:
    """All patches as the part `all`: the files of `train`, `validation` and `test` one after another.

    Args:
        folder: the data directory, in which the files stand below `pcam`.

    Returns:
        Images uint8 (3357, 3, 96, 96) and labels int64 (3357,), 1 for tumour.

    Raises:
        UserError: the files hold something else, PCam itself for instance.
    """
    parts = read_patches(folder, "pcam-sample").values()
    return {"all": Part(torch.cat([part.images for part in parts]), torch.cat([part.labels for part in parts]))}
