"""MNIST in torchvision's layout."""

from gcnnbench.data.mnist import fetch, load

__all__ = ["fetch", "load"]
