"""MNIST around the circle."""

from gcnnbench.data.mnist import fetch
from gcnnbench.data.mnist import load as load_mnist
from gcnnbench.data.posed import posed_from

__all__ = ["fetch", "load"]

load = posed_from(load_mnist, "circle", classes=10)
