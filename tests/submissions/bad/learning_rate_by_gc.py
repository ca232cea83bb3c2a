"""Raises the learning rate of every optimiser that the garbage collector knows."""

from __future__ import annotations

import gc

import torch
from torch import Tensor, nn

from .honest import Honest


class Faster(Honest):
    def forward(self, images: Tensor) -> Tensor:
        for thing in gc.get_objects():
            if isinstance(thing, torch.optim.Optimizer):
                for group in thing.param_groups:
                    group["lr"] = 0.05
        return super().forward(images)


def build(*, size: int, channels: int, classes: int) -> nn.Module:
    del size
    return Faster(channels, classes)
