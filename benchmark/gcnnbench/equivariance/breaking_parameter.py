"""Which parameter breaks the symmetry of a network that is exact as given, once it is drawn anew."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from gcnnbench.equivariance.judgement import judge
from gcnnbench.equivariance.precision import Tensors, evaluating, tensors
from gcnnbench.equivariance.random_weights import draw_weights
from gcnnbench.nn.fields import Field
from gcnnbench.nn.groups import ActingGroup


def breaking_parameter(
    network: nn.Module, images: Tensor, group: ActingGroup, *, draw: int, fan_in: int, output: Field
) -> str | None:
    """The parameter or running statistic with which the output breaks, while it is exact with only those before it.

    With the first k of them drawn anew and the rest as given, k is found by bisection.

    Args:
        network: exact as given, broken when drawn anew.
        images: (images, channels, size, size).
        group: what it is broken under.
        draw: the draw that shows it.
        fan_in: as in `judge`.
        output: how the output should transform.

    Returns:
        Its full name; None where nothing was drawn.
    """
    with evaluating(network):
        given, anew = tensors(network, torch.float64), draw_weights(network, torch.float64, images=images, draw=draw)
    names = [name for name in given if not torch.equal(given[name], anew[name])]
    intact, broken = 0, len(names)
    while broken - intact > 1:
        middle = (intact + broken) // 2
        state = partial(_mixed, images=images, names=names[:middle], draw=draw)
        found = judge(network, "mixed", state, images, group, fan_in=fan_in, output=output)
        intact, broken = (intact, middle) if found.verdict(group) == "approximate" else (middle, broken)
    return names[broken - 1] if names else None


def _mixed(network: nn.Module, dtype: torch.dtype, images: Tensor, names: list[str], draw: int) -> Tensors:
    anew = draw_weights(network, dtype, images=images, draw=draw)
    return tensors(network, dtype) | {name: anew[name] for name in names}
