"""The Lie derivative against known values, finite differences and layers that are exactly equivariant."""

from __future__ import annotations

import math
from importlib import import_module

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.lie import MOTIONS, Motion, generator, interpolation_error, local_errors, moved
from gcnnbench.errors import UserError
from gcnnbench.nn.fields import ScalarField, with_field


def blobs(count: int = 6, size: int = 33) -> Tensor:
    """Smooth images (count, 1, size, size) of Gaussian blobs off the centre, with nothing at the border."""
    random = torch.Generator().manual_seed(5)
    place = torch.rand(count, 2, 1, 1, generator=random, dtype=torch.float64) * 8 - 4
    width = 1.5 + 0.5 * torch.rand(count, 1, 1, generator=random, dtype=torch.float64)
    axis = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    y, x = axis[:, None], axis
    blob = torch.exp(-((y - place[:, 0]) ** 2 + (x - place[:, 1]) ** 2) / (2 * width**2))
    return (blob - 1e-6).relu()[:, None]


class Moments(nn.Module):
    """The first moments (batch, 2): Σ x f and Σ y f, y upwards."""

    def forward(self, images: Tensor) -> Tensor:
        axis = torch.arange(images.shape[-1], dtype=images.dtype) - (images.shape[-1] - 1) / 2
        return torch.stack([(images * axis).sum((1, 2, 3)), (images * -axis[:, None]).sum((1, 2, 3))], 1)


def test_the_moments_turn_as_vectors_do() -> None:
    images = blobs()
    x, y = Moments()(images).unbind(1)
    (error,) = local_errors(Moments(), images, "rotation", layers=())
    # a counter-clockwise turn changes (x, y) by (−y, x): a value known without any network
    assert error.mean_square == pytest.approx(float(torch.stack([-y, x]).square().mean()), rel=1e-9)
    mass = images.sum((1, 2, 3))
    for motion, index in (("translation-x", 0), ("translation-y", 1)):
        name: Motion = "translation-x" if motion == "translation-x" else "translation-y"
        (error,) = local_errors(Moments(), images, name, layers=())
        assert error.mean_square == pytest.approx(float(mass.square().mean() / 2), rel=1e-9), index


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_generator_is_the_slope_of_moving(motion: Motion) -> None:
    images, step = blobs(), 1e-6
    slope = (moved(images, motion, step) - moved(images, motion, -step)) / (2 * step)
    assert torch.allclose(generator(images, motion), slope, rtol=0, atol=1e-5)
    assert float(slope.abs().max()) > 0.1


def test_a_quarter_of_a_circle_is_rot90() -> None:
    images = blobs()
    assert torch.allclose(moved(images, "rotation", math.pi / 2), images.rot90(1, (-2, -1)), rtol=0, atol=1e-9)
    assert torch.allclose(moved(images, "translation-x", 2.0), images.roll(2, -1), rtol=0, atol=1e-4)
    assert torch.allclose(moved(images, "translation-y", 2.0), images.roll(2, -2), rtol=0, atol=1e-4)


def small() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(
            with_field(nn.Conv2d(1, 4, 3, padding=1), ScalarField()),
            with_field(nn.GELU(), ScalarField()),
            with_field(nn.MaxPool2d(2), ScalarField()),
            with_field(nn.Conv2d(4, 4, 3, padding=1), ScalarField()),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        )


@pytest.mark.parametrize("motion", MOTIONS)
def test_forward_derivatives_equal_finite_differences(motion: Motion) -> None:
    images, step = blobs(), 1e-5
    model = small().double()
    direction = generator(images, motion)
    with torch.no_grad():
        slope = (model(images + step * direction) - model(images - step * direction)) / (2 * step)
        turned = (model(moved(images, motion, step)) - model(moved(images, motion, -step))) / (2 * step)
    *_, error = local_errors(small(), images, motion)
    assert error.layer == "output"
    assert error.mean_square == pytest.approx(float(slope.square().mean()), rel=1e-3)
    assert error.mean_square == pytest.approx(float(turned.square().mean()), rel=0.05)


def test_a_convolution_commutes_with_shifts_and_a_nonlinearity_only_nearly() -> None:
    images = blobs()

    class Shifted(nn.Module):
        """A convolution without bias, whose output knows one more thing: what a nonlinearity does."""

        def __init__(self) -> None:
            super().__init__()
            self.conv = with_field(nn.Conv2d(1, 2, 3, padding=1, bias=False), ScalarField())
            self.sharp = with_field(nn.Tanh(), ScalarField())
            self.coarse = with_field(nn.AvgPool2d(3, 3), ScalarField())

        def forward(self, shown: Tensor) -> Tensor:
            features: Tensor = self.coarse(self.sharp(self.conv(shown) * 20))
            return features.square().mean((-2, -1))

    errors = {error.layer: error for error in local_errors(Shifted(), images, "translation-x")}
    assert errors["conv"].relative < 1e-9
    assert errors["sharp"].relative > 1e-3  # tanh makes detail finer than the pixels
    assert errors["coarse"].relative > 1e-3


def test_smoother_images_leave_less_to_interpolation() -> None:
    rough = blobs().round()
    model = small()
    assert interpolation_error(model, blobs(), "rotation", 0.05) < interpolation_error(model, rough, "rotation", 0.05)
    with pytest.raises(UserError, match="must not be zero"):
        interpolation_error(model, blobs(), "rotation", 0.0)


def test_it_raises_where_it_is_not_defined_and_is_never_a_silent_zero() -> None:
    registry = import_module("gcnnbench.cards.registry").Registry.load()
    target = import_module("gcnnbench.equivariance.targets").model_target(registry, registry.model("p4cnn"))
    network, images = target.make(16), blobs(3, 16)
    with pytest.raises(UserError, match="a rotation by a small angle does not act"):
        local_errors(network, images.expand(3, target.channels, 16, 16), "rotation")
    assert local_errors(network, images.expand(3, target.channels, 16, 16), "rotation", layers=())[0].mean_square > 0
    shifts = local_errors(network, images.expand(3, target.channels, 16, 16), "translation-x")
    assert [error.layer for error in shifts][-1] == "output"
    assert len(shifts) > 5

    class Stepwise(nn.Module):
        def forward(self, shown: Tensor) -> Tensor:
            return shown.round().sum((2, 3))

    with pytest.raises(UserError, match="zero everywhere"):
        local_errors(Stepwise(), blobs(), "rotation")
    with pytest.raises(UserError, match="the same for all images"):
        local_errors(small(), blobs(1).expand(3, 1, 33, 33), "rotation")
    with pytest.raises(UserError, match="unknown motion 'shear'"):
        local_errors(small(), blobs(), "shear")  # type: ignore[arg-type]
