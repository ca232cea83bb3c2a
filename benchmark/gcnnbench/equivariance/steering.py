"""The filters of e2cnn's convolutions made symmetric in double precision while measuring.

e2cnn samples its filter basis in single precision, so that the quarter turns of its filters hold to 1e-7 only. That
says nothing about the architecture and would look like a broken symmetry that does not fall with precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from gcnnbench.equivariance.depths import GeometricField
from gcnnbench.nn.groups import P4

ROUNDING = 1e-5
"""Filters further from their symmetry than this (relative) have not been rounded, they are wrong, and stay so."""


def symmetrised(filters: Tensor, in_type: Any, out_type: Any) -> Tensor:
    """The mean of `ρ_out(g) F(g⁻¹ ·) ρ_in(g)⁻¹` over the quarter turns that both types know, if it is near F.

    Args:
        filters: (out channels, in channels, height, width).
        in_type: e2cnn's type of the input.
        out_type: e2cnn's type of the output.
    """
    given, made = GeometricField(in_type), GeometricField(out_type)
    turns = [g for g in P4.elements if given.knows(g) and made.knows(g)]
    moved = [made.act_on_fibre(given.act(filters, g).transpose(0, 1), g).transpose(0, 1) for g in turns]
    mean = torch.stack(moved).mean(0)
    return mean if float((mean - filters).abs().max()) <= ROUNDING * float(filters.abs().max()) else filters


def steerable_convolutions(network: nn.Module) -> list[nn.Module]:
    """The modules of e2cnn, and of classes derived from its, that expand their filters from weights."""
    return [module for module in network.modules() if any(map(_expands, type(module).__mro__))]


def _expands(kind: type) -> bool:
    return kind.__module__.startswith("e2cnn.") and hasattr(kind, "expand_parameters")


@contextmanager
def symmetric_filters(network: nn.Module) -> Iterator[None]:
    """Let e2cnn's convolutions make their filters symmetric to the last bit of the arithmetic they run in."""
    convolutions = steerable_convolutions(network)

    def expansion(module: Any) -> Callable[[], tuple[Tensor, Tensor | None]]:
        def expand() -> tuple[Tensor, Tensor | None]:
            filters, bias = type(module).expand_parameters(module)
            transposed = "Transposed" in type(module).__name__
            types = (module.out_type, module.in_type) if transposed else (module.in_type, module.out_type)
            return symmetrised(filters, *types), bias

        return expand

    try:
        for module in convolutions:
            vars(module)["expand_parameters"] = expansion(module)
        yield
    finally:
        for module in convolutions:
            del vars(module)["expand_parameters"]
