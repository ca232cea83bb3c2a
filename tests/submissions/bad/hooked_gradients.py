"""Multiplies the gradients of its parameters, by hooks, once training has begun."""

from __future__ import annotations

from torch import nn

from .honest import Honest


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    network = Honest(channels, classes)
    for parameter in network.parameters():
        parameter.register_hook(lambda gradient: 10 * gradient)
    return network
