"""gcnnbench: a reproducibility benchmark suite for group-equivariant convolutional networks."""

__version__ = "0.1.0"
