"""CIFAR-100 in torchvision's layout, with its 100 fine classes."""

from pathlib import Path

import torch
from torchvision.datasets import CIFAR100

from benchmark.data.parts import Part


def load(folder: Path) -> dict[str, Part]:
    """The two parts in the files' order, `train` and `test`.

    Args:
        folder: the data directory, in which the files stand below `cifar-100-python`.

    Returns:
        Images uint8 (images, 3, 32, 32) and fine labels int64 (images,) by part.

    Raises:
        RuntimeError: a file is missing, or its md5 is another.
    """
    read = {name: CIFAR100(str(folder), train=name == "train") for name in ("train", "test")}
    return {
        name: Part(torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(dataset.targets))
        for name, dataset in read.items()
    }


def fetch(folder: Path) -> None:
    """Download and unpack the archive through torchvision, which checks its md5.

    Args:
        folder: the data directory.

    Raises:
        RuntimeError: the archive is not what it should be.
        OSError: the server does not answer.
    """
    CIFAR100(str(folder), train=True, download=True)
