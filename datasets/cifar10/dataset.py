"""CIFAR-10 in torchvision's layout."""

from pathlib import Path

from torchvision.datasets import CIFAR10

from gcnnbench.data.cifar import cifar_parts
from gcnnbench.data.parts import Part


def load(folder: Path) -> dict[str, Part]:
    """`train` and `test`, as `cifar_parts` reads them."""
    return cifar_parts(CIFAR10, folder)


def fetch(folder: Path) -> None:
    """Download and unpack the archive through torchvision, which checks its md5.

    Args:
        folder: the data directory.

    Raises:
        RuntimeError: the archive is not what it should be.
        OSError: the server does not answer.
    """
    CIFAR10(str(folder), train=True, download=True)
