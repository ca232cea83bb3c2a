"""Coset pooling, and pooling over pixels as it acts on regular fields."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.errors import UserError
from gcnnbench.nn.fields import RegularField, ScalarField
from gcnnbench.nn.groups import GROUPS, P4, P4M, Group
from gcnnbench.nn.pooling import CosetPool, GlobalMaxPool


@pytest.mark.parametrize("how", ["max", "mean"])
@pytest.mark.parametrize("group", list(GROUPS.values()), ids=lambda group: group.name)
def test_pools_over_the_inner_axis(group: Group, how: str) -> None:
    features = torch.randn(2, 3 * len(group), 4, 4)
    output = CosetPool(group, "max" if how == "max" else "mean")(features)
    assert output.shape == (2, 3, 4, 4)
    for channel in range(3):
        part = features[:, channel * len(group) : (channel + 1) * len(group)]
        expected = part.max(1).values if how == "max" else part.mean(1)
        torch.testing.assert_close(output[:, channel], expected, rtol=0, atol=1e-12)


def error(pool: nn.Module, group: Group, size: int) -> float:
    """The largest |g p(x) − p(g x)| from a regular to a scalar field."""
    before, after, features = RegularField(group), ScalarField(), torch.randn(2, 2 * len(group), size, size)
    output: Tensor = pool(features)
    return max(float((after.act(output, g) - pool(before.act(features, g))).abs().max()) for g in group.elements)


def test_is_equivariant_and_a_wrong_axis_is_noticed() -> None:
    class OuterPool(nn.Module):
        def forward(self, features: Tensor) -> Tensor:
            return torch.unflatten(features, 1, (len(P4M), -1)).amax(1)

    assert error(CosetPool(P4M), P4M, 5) == 0
    assert error(CosetPool(P4M, "mean"), P4M, 5) < 1e-12
    assert error(OuterPool(), P4M, 5) > 1e-3


@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2)], ids=["max", "average"])
def test_plain_pooling_is_exact_at_even_sizes_only(pool: nn.Module) -> None:
    layer = nn.Sequential(pool, CosetPool(P4))
    assert error(layer, P4, 6) < 1e-12
    assert error(layer, P4, 7) > 1e-3


def test_the_maximum_over_pixels_is_exact_at_every_size_and_ties_share_its_gradient() -> None:
    assert all(error(nn.Sequential(CosetPool(P4M), GlobalMaxPool()), P4M, size) == 0 for size in (1, 4, 5))
    images = torch.randn(2, 3, 4, 5)
    assert torch.equal(GlobalMaxPool()(images), nn.AdaptiveMaxPool2d(1)(images))
    features = torch.tensor([[[[1.0, 3], [3, 2]]]], requires_grad=True)
    (gradient,) = torch.autograd.grad(GlobalMaxPool()(features), features, torch.ones(1, 1, 1, 1))
    assert gradient.tolist() == [[[[0, 0.5], [0.5, 0]]]]


def test_works_on_vectors_too() -> None:
    assert CosetPool(P4)(torch.randn(5, 12)).shape == (5, 3)


def test_mistakes_are_named_and_arguments_printed() -> None:
    with pytest.raises(UserError, match=r"how \(='min'\) must be 'max' or 'mean'"):
        CosetPool(P4, "min")  # type: ignore[arg-type]
    assert repr(CosetPool(P4)) == "CosetPool(group=p4, how='max')"
