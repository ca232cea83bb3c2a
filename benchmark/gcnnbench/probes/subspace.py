"""How far a network's filter banks are from the equivariant ones, under its own action and under a matched one.

`outside` is `‖K − ΠK‖ / ‖K‖` with the projection Π onto the banks that are equivariant under the layer's own fields:
for a group convolution zero, for an ordinary one the part of its kernels that some element of the group changes.
`matched` is the distance of the banks to those of the network that sees moved images, channels matched by
`alignment.py`, so that it finds a symmetry that is hidden by the order of channels. Of matched random banks it is near
one. Both look at weights alone and are blind to where the pixels are sampled.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gcnnbench.nn.bank import BankConv
from gcnnbench.nn.fields import Field, ScalarField
from gcnnbench.nn.groups import Group
from gcnnbench.nn.projection import deviation, transformed
from gcnnbench.probes.alignment import distance, matchings, probed_element
from gcnnbench.probes.chains import chain, conjugated


@torch.no_grad()
def measure(network: nn.Module, images: Tensor, group: Group) -> dict[str, dict[str, Any]]:
    """`outside` and `matched` of each convolution, in float64 on a copy; nothing where the group is trivial.

    Args:
        network: a chain, see `chains.py`.
        images: (images, channels, size, size), on which channels are matched.
        group: that of layers without one of their own; an element of it is taken for `matched`.

    Raises:
        UserError: the network is no chain.
    """
    if len(group) == 1:
        return {}
    found, element = chain(network), probed_element(group)
    each = matchings(found, found, images.cpu().double(), element)
    moved = conjugated(found, element, [matching.places for matching in each])
    return {
        name: {"outside": _outside(network.get_submodule(name), found.conv(stage).weight, group), "matched": value}
        for stage, (name, value) in enumerate(zip(found.convolutions, distance(found, moved, each), strict=True))
    }


def _outside(layer: nn.Module, bank: Tensor, group: Group) -> float:
    own = getattr(layer, "group", None)
    if isinstance(layer, BankConv) and isinstance(own, Group) and len(own) > 1:
        return deviation(bank, layer.group, layer.in_group)
    scalar: Field = ScalarField()
    mean = torch.stack([transformed(bank.detach(), element, scalar, scalar) for element in group.elements]).mean(0)
    return float((bank - mean).norm() / bank.norm())
