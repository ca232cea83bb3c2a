"""Audits of single operations between two layers of the suite, and of what no certificate knows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.equivariance.audit import audit
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import ScalarField
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.pooling import CosetPool
from tests.equivariance.audited import BROKEN, EXACT, seeded, verdicts


class Around(nn.Module):
    """A p4 stem, something, and a p4 head, all by the suite's own layers but the something."""

    def __init__(self, something: Callable[[Tensor], Tensor], channels: int = 3) -> None:
        super().__init__()
        self.lift = GroupConv(1, channels, 3, group=P4, in_group=TRIVIAL, padding=1)
        if isinstance(something, nn.Module):
            self.middle: Any = something
        else:
            self.middle = something
        self.conv = GroupConv(channels, channels, 3, group=P4, padding=1)
        self.coset = CosetPool(P4)

    def forward(self, images: Tensor) -> Tensor:
        features = self.coset(F.relu(self.conv(self.middle(self.lift(images)))))
        logits: Tensor = features.mean((-2, -1))
        return logits


class AttentionPool(nn.Module):
    """A softmax over all pixels of a score, and the mean with these weights: exact, but not known to be."""

    def forward(self, features: Tensor) -> Tensor:
        scores = features.square().sum(1).flatten(1).softmax(-1)
        pooled: Tensor = (features.flatten(2) @ scores[:, :, None]).unsqueeze(-1)
        return pooled


def test_attention_pooling_is_exact_but_unknown_to_the_certificate() -> None:
    (row,) = audit(seeded(lambda: Around(AttentionPool())), [12], P4, channels=1).sizes
    assert (row.grid, row.certificate, row.decision) == ("unknown", "unknown", "exact")


class PositionCode(nn.Module):
    """A learned number for every pixel, zero at first."""

    def __init__(self) -> None:
        super().__init__()
        self.code = nn.Parameter(torch.zeros(1, 1, 12, 12))

    def forward(self, features: Tensor) -> Tensor:
        return features + self.code


def test_a_position_code_on_a_symmetric_grid_is_no_certificate() -> None:
    found = audit(seeded(lambda: Around(PositionCode())), [11, 12], P4, channels=1)
    other, row = found.sizes
    assert other.decision == "inapplicable"
    assert (row.certificate, row.decision) == ("unknown", "approximate")
    assert "depend on the position" in str(row.reason)


OPERATIONS: dict[str, tuple[Callable[[Tensor], Tensor], list[int], list[int]]] = {
    "ceil_mode": (lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True), [11, 13], [10, 12]),
    "one-sided padding": (lambda x: F.max_pool2d(F.pad(x, (1, 0, 1, 0)), 2), [], [11, 12]),
    "padding on one side and a stride": (lambda x: F.avg_pool2d(F.pad(x, (0, 1, 0, 1)), 3, 2), [11], [12]),
    "blur pool": (lambda x: F.avg_pool2d(F.pad(x, (1, 2, 1, 2)), 4, 2), [10, 12], [11, 13]),
    "bilinear downsampling": (lambda x: F.interpolate(x, size=6, mode="bilinear"), [11, 12], []),
    "nearest downsampling": (lambda x: F.interpolate(x, scale_factor=0.5), [], [12]),
    "strided slices": (lambda x: x[..., ::2, ::2], [11, 13], [10, 12]),
    "a crop": (lambda x: x[..., 1:-1, 1:-1], [11, 12], []),
    "a crop on one side": (lambda x: x[..., 1:, 1:], [], [11, 12]),
    "adaptive pooling": (lambda x: F.adaptive_avg_pool2d(x, 5), [11, 12], []),
    "enlarging": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), [11, 12], []),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_functional_operations_are_seen(name: str) -> None:
    op, exact, broken = OPERATIONS[name]
    found = verdicts(seeded(lambda: Around(op)), sorted([*exact, *broken]), channels=1)
    assert found == dict.fromkeys(exact, EXACT) | dict.fromkeys(broken, BROKEN)


UNKNOWN: dict[str, Callable[[Tensor], Tensor]] = {
    "fft": lambda x: torch.fft.fft2(x).real,
    "a roll": lambda x: x.roll(1, -1),
    "a cumulated sum": lambda x: x.cumsum(-1),
    "an index": lambda x: x[..., [0, 2, 4, 6, 8, 10], :],
    "windows as channels": lambda x: F.fold(F.unfold(x, 2, stride=2), (12, 12), 2, stride=2),
    "a number read in Python": lambda x: x * float(x.mean()),
    "along rows only": lambda x: x * x.mean(-1, keepdim=True),
    "rows and columns exchanged": lambda x: x.mT,
    "a grid sample": lambda x: F.grid_sample(x, x.new_zeros(len(x), 12, 12, 2), align_corners=False),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_is_not_known_is_never_exact(name: str) -> None:
    (row,) = audit(seeded(lambda: Around(UNKNOWN[name])), [12], P4, channels=1).sizes
    assert row.certificate == "unknown"
    assert not row.disagreement


def test_a_feature_map_as_output() -> None:
    class Map(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lift = GroupConv(1, 3, 3, group=P4, in_group=TRIVIAL, padding=1, stride=2)
            self.coset = CosetPool(P4)

        def forward(self, images: Tensor) -> Tensor:
            features: Tensor = self.coset(self.lift(images))
            return features

    found = verdicts(seeded(Map), [12, 13], channels=1, output=ScalarField())
    assert found == {12: BROKEN, 13: EXACT}
