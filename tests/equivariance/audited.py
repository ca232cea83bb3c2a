"""A network with the weights of one seed, and what its audit says at each size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from gcnnbench.equivariance.audit import audit
from gcnnbench.nn.groups import P4


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return make()


def verdicts(model: nn.Module, sizes: range | list[int], **options: Any) -> dict[int, tuple[str, str, str]]:
    found = audit(model, sizes, P4, **options)
    assert not found.failures
    return {row.size: (row.grid, row.certificate, row.decision) for row in found.sizes}


EXACT, BROKEN = ("symmetric", "exact", "exact"), ("broken", "approximate", "approximate")
