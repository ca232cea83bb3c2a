"""A plain convolutional network: a correct starting point; make it your own."""

from __future__ import annotations

from torch import nn


def build(*, size: int, channels: int, classes: int, planes: int) -> nn.Module:
    """Build the network: images (batch, channels, size, size) -> logits (batch, classes).

    The suite seeds torch's generator before it calls this, so draw the weights here and seed nothing. What stands under
    `hyperparameters` in model.yaml comes as further arguments.
    """
    if size < 4:
        raise ValueError(f"size (={size}) must be at least 4: two poolings halve it")
    return nn.Sequential(
        *_block(channels, planes),
        nn.MaxPool2d(2),
        *_block(planes, 2 * planes),
        nn.MaxPool2d(2),
        *_block(2 * planes, 4 * planes),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * planes, classes),
    )


def _block(in_channels: int, out_channels: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(out_channels), nn.ReLU()
