"""MNIST in torchvision's layout."""

from benchmark.data.mnist import fetch, load

__all__ = ["fetch", "load"]
