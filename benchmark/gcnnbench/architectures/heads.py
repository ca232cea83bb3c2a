"""From the features of a convolutional network to its logits: with the group pooled away, or without."""

from __future__ import annotations

from torch import nn

from gcnnbench.nn.fields import Invariant, ScalarField, feature_field, with_field
from gcnnbench.nn.groups import Group
from gcnnbench.nn.layers import Layers
from gcnnbench.nn.pooling import CosetPool


def coset_classifier(channels: int, classes: int, *, group: Group) -> Layers:
    """Coset maximum – global average pooling – linear, to invariant logits.

    The maximum is taken at each pixel; `gcnnbench.architectures.sequence.classifier` takes it of the averages.

    Args:
        channels: channels of the features.
        classes: the number of logits.
        group: the group of the features.
    """
    return {
        "coset": CosetPool(group),
        "mean": with_field(nn.AdaptiveAvgPool2d(1), ScalarField()),
        "flatten": with_field(nn.Flatten(), Invariant()),
        "linear": with_field(nn.Linear(channels, classes), Invariant()),
    }


def flattened_classifier(channels: int, classes: int, *, group: Group) -> Layers:
    """Global average pooling – linear over channels and group elements alike.

    The linear layer tells the group elements apart, so that logits are not invariant however exact the features are;
    for the trivial group it is the ordinary classifier.

    Args:
        channels: channels of the features.
        classes: the number of logits.
        group: the group of the features.
    """
    return {
        "mean": with_field(nn.AdaptiveAvgPool2d(1), feature_field(group)),
        "linear": with_field(nn.Sequential(nn.Flatten(), nn.Linear(channels * len(group), classes)), Invariant()),
    }


def averaged_logits(*, group: Group) -> Layers:
    """The mean of each channel over pixels and group elements: the features are the logits."""
    return {
        "coset": CosetPool(group, "mean"),
        "mean": with_field(nn.AdaptiveAvgPool2d(1), ScalarField()),
        "logits": with_field(nn.Flatten(), Invariant()),
    }
