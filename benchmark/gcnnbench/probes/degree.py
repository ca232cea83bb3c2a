"""How much symmetry a network has learnt: what its modules say in `degree`, and how far their banks are from symmetric.

What a method learns (a width, a likelihood, mixing weights) is in its own units and compares nothing across methods;
`outside` does for all that learn a bank: `‖K − ΠK‖ / ‖K‖` with the projection Π onto equivariant banks, 0 exact.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from gcnnbench.nn.bank import BankConv
from gcnnbench.nn.groups import Group
from gcnnbench.nn.projection import deviation
from gcnnbench.rewriting.classes import computes_as


@torch.no_grad()
def measure(network: nn.Module, images: Tensor, group: Group) -> dict[str, dict[str, Any]]:  # noqa: ARG001
    """For each module with a `degree`, what it says, and for those with a bank `outside`; in float64 on a copy.

    Args:
        network: in any mode.
        images: not looked at.
        group: not looked at: a bank is measured under its own.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, module in copy.deepcopy(network).cpu().double().named_modules():
        degree: Callable[[], dict[str, Tensor]] | None = getattr(module, "degree", None)
        if not callable(degree):
            continue
        reading: dict[str, Any] = {quantity: value.tolist() for quantity, value in degree().items()}
        if computes_as(module, BankConv):
            reading["outside"] = deviation(module.bank()[0], module.group, module.in_group)
        found[name or "network"] = reading
    return found
