"""Tests whether trained weights come from a record's seed, by their correlation with that seed's first weights.

The initial weights of a seed are known without training. Training moves weights, yet over tens of thousands of them the
correlation with their own start stays far above chance, while that with any other start is chance:
`z = √n · corr(trained, initial)`, over the n weights that are drawn, each tensor standardised, is N(0, 1) for a seed
that they do not come from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import sqrt

import torch
from torch import Tensor

from gcnnbench.data.streams import derive
from gcnnbench.device import seeded
from gcnnbench.runs.cell import Cell

TRACE = 6.0
"""A correlation so many standard errors above zero is no chance: one in a thousand million."""
FEWEST = 20
"""Weights in a tensor that is compared; smaller ones are hardly a sample."""


@dataclass(frozen=True)
class Origin:
    """The trace of the stated seed, and another seed whose trace is there where the stated one's is not."""

    trace: float
    other: int | None

    @property
    def told(self) -> bool:
        """Whether the weights show that they come from the stated seed."""
        return self.trace >= TRACE


def origin(cell: Cell, weights: Mapping[str, Tensor], seeds: int) -> Origin:
    """Whether trained weights come from a cell's seed, and if not, from which.

    Args:
        cell: says benchmark, entry and seed.
        weights: the trained weights by name.
        seeds: the other seeds that are tried are those below this number.
    """
    own = trace(initial_weights(cell), weights)
    if own >= TRACE:
        return Origin(own, None)
    others = (seed for seed in range(seeds) if seed != cell.seed)
    found = (seed for seed in others if trace(initial_weights(replace(cell, seed=seed)), weights) >= TRACE)
    return Origin(own, next(found, None))


def initial_weights(cell: Cell) -> dict[str, Tensor]:
    """The weights that a cell's training starts from, on the CPU."""
    with seeded(torch.device("cpu"), derive(cell.card.name, cell.seed, "initialisation")):
        return cell.registry.build(cell.entry, cell.card).state_dict()


def trace(initial: Mapping[str, Tensor], trained: Mapping[str, Tensor]) -> float:
    """The correlation of trained with initial weights in standard errors, `√n · mean(a · b)` of standardised values.

    Only tensors that vary in both take part: what starts as a constant remembers nothing.
    """
    pairs = [(start, trained[name]) for name, start in initial.items() if name in trained]
    products = [
        _standardised(start) * _standardised(end)
        for start, end in pairs
        if start.shape == end.shape and start.is_floating_point() and start.numel() >= FEWEST and _vary(start, end)
    ]
    if not products:
        return 0.0
    every = torch.cat(products)
    return float(every.mean()) * sqrt(len(every))


def _vary(*tensors: Tensor) -> bool:
    return all(float(tensor.std()) > 0 for tensor in tensors)


def _standardised(tensor: Tensor) -> Tensor:
    values = tensor.flatten().double()
    return (values - values.mean()) / values.std()
