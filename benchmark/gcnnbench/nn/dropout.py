"""Elementwise dropout whose mask costs less than the convolution beside it, on a CPU too."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from gcnnbench.errors import UserError

LEVELS = 1 << 16
_BLOCK = 1 << 18  # elements whose draws, compared and scaled at once, stay in a core's cache


def _check(p: float) -> None:
    if not 0 <= p <= 1:
        raise UserError(f"p (={p}) must lie in [0, 1]: it is the share of elements set to zero")


def kept_levels(p: float) -> int:
    """How many of the 2¹⁶ equally likely levels keep an element: the rate is exact to 2⁻¹⁷."""
    return round((1 - p) * LEVELS)


def _draws(words: int, generator: torch.Generator | None) -> Tensor:
    """Independent 64-bit words, (words,), from a stream that one draw of torch's generator seeds.

    torch draws a word in 10 ns; SFC64 (PractRand's author Doty-Humphrey's generator, as numpy has it) in 4, and numpy
    promises that its bit generators keep their streams.
    """
    seed = int(torch.randint(1 << 62, (), generator=generator))
    return torch.from_numpy(np.random.SFC64(seed).random_raw(words)).view(torch.int64)


def dropout_mask(features: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
    """Independent factors for each element: 0 with probability p, else 1/(1 − p).

    On a GPU they are torch's own. On a CPU p is rounded to a multiple of 2⁻¹⁶, and the factor is the inverse of the
    rounded probability, so that the mean stays exactly one. There the mask depends on the generator's state and on the
    order of the features in memory, never on the number of threads.

    Args:
        features: whose shape, type and memory layout the mask takes.
        p: the probability of a zero.
        generator: the source of randomness, torch's default generator where None; on a GPU only that.

    Returns:
        (the shape of the features).

    Raises:
        UserError: p is no probability, or a generator is given on a GPU.
    """
    _check(p)
    if features.device.type != "cpu":
        return dropout(torch.ones_like(features, requires_grad=False), p, generator)
    mask = torch.empty_like(features, requires_grad=False)
    kept = kept_levels(p)
    if kept in (0, LEVELS) or not mask.numel():
        return mask.fill_(kept // LEVELS)
    if not mask.is_contiguous() and not mask.is_contiguous(memory_format=torch.channels_last):
        mask = torch.empty(features.shape, dtype=features.dtype)
    flat = mask.as_strided((mask.numel(),), (1,))
    levels = _draws(-(-mask.numel() // 4), generator).view(torch.int16)[: mask.numel()]
    for level, part in zip(levels.split(_BLOCK), flat.split(_BLOCK), strict=True):
        torch.lt(level, kept - LEVELS // 2, out=part).mul_(LEVELS / kept)
    return mask


def dropout(features: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
    """Dropout in training, `y = x·m` with independent m ∈ {0, 1/(1 − p)}.

    Args:
        features: a tensor of any shape.
        p: the probability of a zero; on a CPU rounded to a multiple of 2⁻¹⁶.
        generator: the source of randomness; on a GPU only torch's default generator.

    Returns:
        A tensor of the same shape and memory layout.

    Raises:
        UserError: p is no probability, or a generator is given on a GPU.
    """
    _check(p)
    if features.device.type == "cpu":
        return features * dropout_mask(features, p, generator)
    if generator is not None:
        raise UserError(f"a generator of its own works on the CPU only, and these features are on {features.device}")
    return nn.functional.dropout(features, p)


class Dropout(nn.Module):
    """Dropout of single elements in training, nothing in evaluation; the distribution is that of `nn.Dropout`.

    Args:
        p: the probability of a zero; on a CPU rounded to a multiple of 2⁻¹⁶.

    Raises:
        UserError: p is no probability.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        _check(p)
        self.p = p

    def forward(self, features: Tensor) -> Tensor:
        """A tensor of any shape -> the same shape and memory layout."""
        return dropout(features, self.p) if self.training else features

    def extra_repr(self) -> str:
        """The constructor's arguments."""
        return f"p={self.p}"
