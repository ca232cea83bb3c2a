"""torchvision's ResNet-18 with ten classes, as an example of a network to audit."""

from __future__ import annotations

import torchvision
from torch import nn


def build() -> nn.Module:
    """A ResNet-18 without trained weights."""
    network: nn.Module = torchvision.models.resnet18(num_classes=10)
    return network
