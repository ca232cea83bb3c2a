"""The seven-convolution network of the MNIST study (Edixhoven et al. 2023), with any kind of group convolution."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import nn

from gcnnbench.architectures.initialisation import sepgroupy
from gcnnbench.architectures.sequence import Network, classifier, conv_block, max_pool, require_size
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import TRIVIAL, Group
from gcnnbench.nn.layers import Layers

DEPTHS = ("relu1", "relu2", "pool", "relu3", "relu4", "relu5", "relu6", "relu7", "coset")
"""The depths of its group networks."""


def seven_convolutions(
    *,
    size: int,
    channels: int,
    classes: int,
    planes: int,
    dropout: float,
    group: Group,
    conv: Callable[..., nn.Module] = GroupConv,
) -> Layers:
    """Seven convolutions with one 2×2 max-pool, coset maximum and a linear layer.

    Args:
        size: height and width of the images.
        channels: of the images.
        classes: the number of logits.
        planes: output channels of every convolution.
        dropout: the probability of a zero behind the first and the third to fifth convolution.
        group: the group of the features.
        conv: makes the convolutions from what `GroupConv` takes.

    Raises:
        UserError: the images are smaller than 8 pixels.
    """
    require_size(size, 8)
    block = partial(conv_block, group=group, conv=conv)
    return {
        **block(1, channels, planes, in_group=TRIVIAL, dropout=dropout),
        **block(2, planes, planes),
        "pool": max_pool(2, group=group),
        **block(3, planes, planes, dropout=dropout),
        **block(4, planes, planes, dropout=dropout),
        **block(5, planes, planes, dropout=dropout),
        **block(6, planes, planes),
        **block(7, planes, planes, 4, padding=0),
        **classifier(planes, classes, group=group),
    }


def p4cnn(conv: Callable[..., nn.Module], *, group: Group, **shape: int | float) -> Network:
    """The study's P4CNN with another kind of convolution, begun as the published network is.

    Args:
        conv: makes the convolutions from what `GroupConv` takes.
        group: the group of the features.
        **shape: what else `seven_convolutions` takes.
    """
    network = Network(seven_convolutions(group=group, conv=conv, **shape), depths=DEPTHS)  # type: ignore[arg-type]
    return network.apply(sepgroupy)
