"""CIFAR-100 in torchvision's layout, with its 100 fine classes."""

from pathlib import Path

from torchvision.datasets import CIFAR100

from gcnnbench.data.cifar import cifar_parts
from gcnnbench.data.parts import Part


def load(folder: Path) -> dict[str, Part]:
    """`train` and `test`, as `cifar_parts` reads them."""
    return cifar_parts(CIFAR100, folder)


def fetch(folder: Path) -> None:
    """Download and unpack the archive through torchvision, which checks its md5.

    Args:
        folder: the data directory.

    Raises:
        RuntimeError: the archive is not what it should be.
        OSError: the server does not answer.
    """
    CIFAR100(str(folder), train=True, download=True)
