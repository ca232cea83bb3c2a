"""What is read from a network beside its scores, after every epoch and at the end: one module for each probe.

A probe has `measure(network, images, group)`. It gives plain finite numbers, by module and by quantity. It draws
nothing at random and leaves the network as it was, bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from torch import Tensor, nn

from gcnnbench.cards.evaluation import Evaluation
from gcnnbench.data.images import Images
from gcnnbench.nn.groups import Group
from gcnnbench.nn.groups import group as group_of

Reading = dict[str, dict[str, Any]]


def read(names: Sequence[str], network: nn.Module, images: Tensor, group: Group) -> dict[str, Reading]:
    """What these probes read, by their names.

    Args:
        names: of the modules of this package, as a benchmark's card has them.
        network: in any mode.
        images: the protocol's fixed images (images, channels, size, size).
        group: the protocol's group, without shifts.
    """
    return {name: import_module(f"{__name__}.{name}").measure(network, images, group) for name in names}


def probing(protocol: Evaluation, images: Images) -> Callable[[nn.Module], dict[str, Any]] | None:
    """What a benchmark reads from a network, or None where it asks for nothing.

    Args:
        protocol: names the probes, the group and how many images they see.
        images: the test share, whose labels are not looked at.
    """
    names = protocol.probes
    if names is None:
        return None
    shown = slice(protocol.equivariance_images)
    return lambda network: read(names, network, images.batch(shown), group_of(protocol.group).point)
