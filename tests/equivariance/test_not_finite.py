"""Features that are not finite are named, and make no number of a record or a verdict one that is not finite."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.errors import measure
from gcnnbench.equivariance.exactness import exactness
from gcnnbench.equivariance.lie import interpolation_error
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.errors import UserError
from gcnnbench.nn.fields import ScalarField, with_field
from gcnnbench.nn.groups import P4


class Divided(nn.Module):
    """Divided by zero: everywhere, or where one pixel of the moved images alone is zero."""

    def __init__(self, *, moved_only: bool) -> None:
        super().__init__()
        self.moved_only = moved_only

    def forward(self, maps: Tensor) -> Tensor:
        rising = maps[..., -1, :].mean((-2, -1)) > maps[..., 0, :].mean((-2, -1))
        return maps / (1 - (rising if self.moved_only else torch.ones_like(rising)).to(maps))[:, None, None, None]


def bounded(*, moved_only: bool) -> nn.Module:
    """A network whose output is finite again."""
    layer = with_field(Divided(moved_only=moved_only), ScalarField())
    return nn.Sequential(nn.Conv2d(1, 2, 1), layer, nn.Sigmoid(), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize("moved_only", [False, True])
def test_the_error_of_such_a_layer_is_not_defined(moved_only: bool) -> None:
    images = sample_images(8, 1, 8) - 0.1 * torch.arange(8)[:, None]
    with pytest.raises(FloatingPointError, match="a feature of 1 is not finite"):
        measure(bounded(moved_only=moved_only), images, P4.elements)


@pytest.mark.parametrize("moved_only", [False, True])
def test_exactness_is_judged_without_it(moved_only: bool) -> None:
    images = sample_images(8, 1, 8) - 0.1 * torch.arange(8)[:, None]
    found = exactness(bounded(moved_only=moved_only), images, P4)
    assert found.error is None or math.isfinite(found.error)
    assert found.decision == ("approximate" if moved_only else "exact")


def test_an_interpolation_error_that_is_no_number_is_not_given() -> None:
    class Once(nn.Module):
        calls = 0

        def forward(self, images: Tensor) -> Tensor:
            self.calls += 1
            return images.mean((-2, -1)) / (self.calls == 1)

    with pytest.raises(UserError, match="or not finite: the interpolation error is not defined"):
        interpolation_error(Once(), sample_images(4, 1, 8), "rotation", 0.1)


def test_complex_features_have_the_error_of_their_absolute_values() -> None:
    class Complex(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return torch.complex(maps, maps * torch.linspace(0, 1, maps.shape[-1], dtype=maps.dtype))

    class Real(nn.Module):
        def forward(self, maps: Tensor) -> Tensor:
            return maps.real

    layer = with_field(Complex(), ScalarField())
    network = nn.Sequential(nn.Conv2d(1, 2, 1), layer, Real(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = sample_images(4, 1, 8)
    (depth,) = measure(network, images, P4.elements).depths
    assert depth.relative is not None
    assert depth.relative > 1e-3
    found = exactness(network, images, P4)
    assert found.decision == "exact"
    assert "recovered at the output: 1" in str(found.reason)
