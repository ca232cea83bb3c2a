"""CIFAR in torchvision's layout, for the data sets that are read from it."""

from __future__ import annotations

from pathlib import Path

import torch
from torchvision.datasets import CIFAR10

from gcnnbench.data.parts import Part


def cifar_parts(kind: type[CIFAR10], folder: Path) -> dict[str, Part]:
    """The two parts in the files' order, `train` (its batches one after another) and `test`.

    Args:
        kind: torchvision's `CIFAR10` or its subclass `CIFAR100`, whose labels are the fine classes.
        folder: the data directory, in which the files stand below `kind.base_folder`.

    Returns:
        Images uint8 (images, 3, 32, 32) and labels int64 (images,) by part.

    Raises:
        RuntimeError: a file is missing, or its md5 is another.
    """
    read = {name: kind(str(folder), train=name == "train") for name in ("train", "test")}
    return {
        name: Part(torch.from_numpy(dataset.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(dataset.targets))
        for name, dataset in read.items()
    }


def fetch_cifar(kind: type[CIFAR10], folder: Path) -> None:
    """Download and unpack the archive through torchvision, which checks its md5.

    Args:
        kind: torchvision's `CIFAR10` or its subclass `CIFAR100`.
        folder: the data directory.

    Raises:
        RuntimeError: the archive is not what it should be.
        OSError: the server does not answer.
    """
    kind(str(folder), train=True, download=True)
