"""A sample of PatchCamelyon in PCam's file layout."""

from pathlib import Path

from gcnnbench.data.parts import Part
from gcnnbench.data.pcam import read_patches


def load(folder: Path) -> dict[str, Part]:
    """The three parts in the files' order: `train`, `validation` and `test`.

    Args:
        folder: the data directory, in which the files stand below `pcam`.

    Returns:
        Images uint8 (images, 3, 96, 96) and labels int64 (images,), 1 for tumour, by part.

    Raises:
        UserError: the files hold something else, PCam itself for instance.
    """
    return read_patches(folder, "pcam-sample")
