"""A small C4 network in e2cnn as anyone might write it: two strided convolutions, then group pooling and a mean."""

from __future__ import annotations

import torch
from e2cnn import gspaces
from e2cnn import nn as enn
from torch import nn


class Strided(nn.Module):
    """(batch, 1, size, size) -> logits (batch, classes)."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        c4 = gspaces.Rot2dOnR2(N=4)
        self.image = enn.FieldType(c4, [c4.trivial_repr])
        fields = enn.FieldType(c4, 8 * [c4.regular_repr])
        self.conv1 = enn.R2Conv(self.image, fields, kernel_size=3, stride=2, padding=1)
        self.relu1 = enn.ReLU(fields)
        self.conv2 = enn.R2Conv(fields, fields, kernel_size=3, stride=2, padding=1)
        self.relu2 = enn.ReLU(fields)
        self.pool = enn.GroupPooling(fields)
        self.linear = nn.Linear(8, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits that a turned image should not change."""
        features = enn.GeometricTensor(images, self.image)
        for layer in (self.conv1, self.relu1, self.conv2, self.relu2, self.pool):
            features = layer(features)
        logits: torch.Tensor = self.linear(features.tensor.mean((2, 3)))
        return logits


def build(classes: int = 10) -> nn.Module:
    """What `gcnnbench audit docs/examples/strided.py:build` calls."""
    return Strided(classes)
