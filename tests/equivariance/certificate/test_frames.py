"""Padding and cropping are forgotten only where all four sides hold the same."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gcnnbench.nn.groups import P2
from tests.equivariance.certificate.pointwise import Something, verdicts


def pad(x: Tensor, *sides: int, mode: str = "constant") -> Tensor:
    return F.pad(x, sides, mode=mode)


def one_side(x: Tensor, **options: Any) -> Tensor:
    return pad(x, 2, 0, 2, 0, **options)


def off(x: Tensor) -> Tensor:
    """Without what `one_side` adds."""
    return x[..., 2:, 2:]


def written(x: Tensor) -> Tensor:
    made, part = x.new_zeros(len(x), 4, 7, 7), x[..., 1:, 1:]
    made[:, :2], made[:, 2:] = part[:, :2], part[:, 2:]
    return made


UNLIKE: dict[str, Something] = {
    "a crop, then padding there": lambda x: pad(x[..., 1:, 1:], 1, 0, 1, 0),
    "reflected here, zeros there": lambda x: pad(one_side(x, mode="reflect"), 0, 2, 0, 2),
    "zeros and what became of zeros": lambda x: F.max_pool2d(pad(pad(x, 1, 0, 1, 0).exp(), 0, 1, 0, 1), 2),
    "rows only": lambda x: x[..., 1:-1, :],
    "reflected columns only": lambda x: pad(x, 1, 1, 0, 0, mode="reflect"),
    "zeros in columns, and what became of zeros in rows": lambda x: F.max_pool2d(
        pad(pad(x, 1, 1).exp(), 0, 0, 1, 1), 2, 2, ceil_mode=True
    ),
    "statistics in between": lambda x: off(F.instance_norm(one_side(x, mode="reflect"))),
    "a softmax in between": lambda x: off(one_side(x, mode="reflect").flatten(2).softmax(-1).view(-1, 4, 10, 10)),
    "one pixel": lambda x: x[..., 3:4, 3:4].flatten(1),
    "one pixel everywhere": lambda x: x[..., 3:4, 3:4].expand(-1, -1, 8, 8),
    "one pixel beside all": lambda x: x[..., 3:4, 3:4] * x,
    "one pixel beside weights": lambda x: x[..., 3:4, 3:4] * torch.ones(8, 8).to(x),
    "one row": lambda x: x[..., 3:4, :].squeeze(-2).relu().mean(-1),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_sides_that_do_not_hold_the_same_are_never_exact(name: str) -> None:
    assert verdicts(UNLIKE[name]) == ("unknown", "approximate")


def test_what_is_written_in_parts_keeps_its_crop() -> None:
    assert verdicts(written) == ("approximate", "approximate")


ALIKE: dict[str, Something] = {
    "one symmetric padding": lambda x: pad(x, 1, 1, 1, 1, mode="reflect").exp(),
    "a symmetric crop": lambda x: x[..., 1:-1, 1:-1],
    "two crops": lambda x: F.max_pool2d(x[..., 1:, 1:].exp()[..., :-1, :-1], 2),
    "padding taken off again": lambda x: F.max_pool2d(off(one_side(x, mode="reflect").exp()), 2),
    "half of the padding taken off": lambda x: F.max_pool2d(pad(x, 2, 1, 2, 1)[..., 1:, 1:], 2),
    "zeros on one side, and the mean": lambda x: one_side(x)[..., 1:, 1:],
    "repeated pixels on one side, and the maximum": lambda x: one_side(x, mode="replicate").neg().exp().amax((-2, -1)),
}


@pytest.mark.parametrize("name", ALIKE)
def test_sides_that_hold_the_same_are_exact(name: str) -> None:
    assert verdicts(ALIKE[name])[0] == "exact"


def test_half_turns_do_not_mind_that_rows_and_columns_differ() -> None:
    assert verdicts(lambda x: x[..., 1:-1, :], group=P2) == ("exact", "exact")
