"""CIFAR-10 in torchvision's layout."""

from pathlib import Path

from torchvision.datasets import CIFAR10

from gcnnbench.data.cifar import cifar_parts, fetch_cifar
from gcnnbench.data.parts import Part


def load(folder: Path) -> dict[str, Part]:
    """`train` and `test`, as `cifar_parts` reads them."""
    return cifar_parts(CIFAR10, folder)


def fetch(folder: Path) -> None:
    """The archive, as `fetch_cifar` downloads it."""
    fetch_cifar(CIFAR10, folder)
