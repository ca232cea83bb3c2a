"""The Lie derivative against known values, finite differences and layers that are exactly equivariant."""

from __future__ import annotations

import math
from importlib import import_module

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.lie import interpolation_error, local_errors
from gcnnbench.equivariance.motions import MOTIONS, Motion, generator, moved
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


def fields(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*(with_field(layer, ScalarField()) for layer in layers), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def linear(kernel: int = 3, **options: int) -> nn.Conv2d:
    return nn.Conv2d(1, 1, kernel, bias=False, stride=options.get("stride", 1), padding=options.get("padding", 0))


@pytest.mark.parametrize("motion", ["translation-x", "translation-y"])
def test_valid_convolutions_commute_with_shifts_whatever_their_maps_sizes(motion: Motion) -> None:
    """Of 24 pixels five valid convolutions leave 14, nearer to 24/2 than to 24/1; the step is one all along."""
    images = torch.zeros(4, 1, 24, 24, dtype=torch.float64)
    images[..., 11:13, 11:13] = torch.rand(4, 1, 2, 2, dtype=torch.float64)
    layers = tuple(str(number) for number in range(5))
    errors = local_errors(fields(*(linear() for _ in range(5))), images, motion, layers=layers)
    assert [error.layer for error in errors] == [*layers, "output"]
    assert max(error.relative for error in errors[:-1]) < 1e-12


@pytest.mark.parametrize(("stride", "size"), [(1, 29), (2, 29), (2, 32), (3, 31), (3, 29)])
@pytest.mark.parametrize("motion", MOTIONS)
def test_steps_and_centres_are_those_of_the_operations(motion: Motion, stride: int, size: int) -> None:
    """A linear ramp is moved the same by its own slope, on every lattice: only the right step and centre give zero."""
    from gcnnbench.equivariance.certificate.verdict import lattices_of

    network = fields(linear(3, stride=stride, padding=0), linear(3))
    images = torch.rand(2, 1, size, size)
    y, x = lattices_of(network, images, ("0",))["0"]
    axis = torch.arange(size, dtype=torch.float64) - (size - 1) / 2
    windows = axis.unfold(0, 3, stride).mean(-1)
    assert y == x
    assert float(y.step or 0) == stride
    assert float(y.centre) == pytest.approx(float(windows.mean()))
    plane = torch.stack([2 * axis[:, None] + 3 * axis, axis[:, None] - axis])[:, None]
    slope = generator(plane, motion)
    coarse = plane.unfold(-1, 3, stride).unfold(-3, 3, stride).mean((-1, -2))
    expected = slope.unfold(-1, 3, stride).unfold(-3, 3, stride).mean((-1, -2))
    inside = (..., slice(2, -2), slice(2, -2))
    assert torch.allclose(generator(coarse, motion, (y, x))[inside], expected[inside], rtol=0, atol=1e-9)


def test_layers_without_an_action_are_refused_by_name() -> None:
    images, model = blobs(3, 16), small()
    model.append(nn.Identity())
    with pytest.raises(UserError, match=r"there is no layer '22' in Sequential; did you mean 2"):
        local_errors(model, images, "rotation", layers=("22",))
    with pytest.raises(UserError, match=r"7 \(Identity\) has no `field`"):
        local_errors(model, images, "rotation", layers=("7",))

    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body, self.spare = small(), with_field(nn.ReLU(), ScalarField())

        def forward(self, shown: Tensor) -> Tensor:
            logits: Tensor = self.body(shown)
            return logits

    with pytest.raises(UserError, match="spare puts out no tensor in a forward pass"):
        local_errors(Unused(), images, "rotation", layers=("spare",))
    lost = fields(Rolled())
    with pytest.raises(UserError, match="where the pixels of 0 lie over the image cannot be followed"):
        local_errors(lost, images, "rotation", layers=("0",))
    tokens = nn.Sequential(with_field(nn.Flatten(2), ScalarField()), nn.Linear(256, 3), nn.Flatten())
    with pytest.raises(UserError, match="0 puts out tokens"):
        local_errors(tokens, images, "rotation", layers=("0",))
    with pytest.raises(UserError, match="the images are 16×12; a rotation needs square ones"):
        local_errors(model, images[..., :12], "rotation", layers=())


class Rolled(nn.Module):
    """Rows in another order."""

    def forward(self, features: Tensor) -> Tensor:
        return features.roll(1, -1).tanh()


def test_attention_has_a_forward_derivative() -> None:
    class Attending(nn.Module):
        def forward(self, shown: Tensor) -> Tensor:
            tokens = shown.flatten(2).mT[:, None]
            return nn.functional.scaled_dot_product_attention(tokens, tokens, tokens).flatten(1)[:, :3]

    (error,) = local_errors(Attending(), blobs(3, 9), "rotation", layers=())
    assert error.mean_square > 0


@pytest.mark.parametrize("motion", MOTIONS)
def test_the_bilinear_stencil_is_the_slope_to_the_right_of_each_pixel(motion: Motion) -> None:
    """The derivative that `grid_sample` has, from above, at the pixels of reflected images."""
    images, step = torch.rand(2, 1, 9, 9, dtype=torch.float64), 1e-7
    axis = torch.arange(9, dtype=torch.float64)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    speed = {"rotation": (x - 4, 4 - y), "translation-x": (0 * y, 1 + 0 * x), "translation-y": (1 + 0 * y, 0 * x)}
    right = torch.cat([images, images[..., -2:-1]], -1)[..., 1:] - images
    down = torch.cat([images, images[..., -2:-1, :]], -2)[..., 1:, :] - images
    shown = generator(images, motion, stencil="bilinear")
    sign = 1 if motion == "rotation" else -1
    assert torch.allclose(shown, sign * (speed[motion][0] * down + speed[motion][1] * right), rtol=0, atol=1e-12)
    if motion != "rotation":
        axis_of = {"translation-x": -1, "translation-y": -2}[motion]
        between = images + step * (images.roll(-1, axis_of) - images)  # interpolated a small step along
        inside = (..., slice(0, 8), slice(0, 8))
        assert torch.allclose((images - between)[inside] / step, shown[inside], rtol=0, atol=1e-6)


def test_the_papers_quantity_is_that_of_probabilities_in_halves_of_the_width() -> None:
    images, model, step = blobs(4), small().double(), 1e-6
    direction = generator(images, "translation-x", stencil="bilinear")
    with torch.no_grad():
        ahead, behind = (model(images + sign * step * direction).softmax(1) for sign in (1, -1))
    (found,) = local_errors(model, images, "translation-x", layers=(), stencil="bilinear")
    assert found.expected == pytest.approx(float((ahead - behind).abs().mean() / (2 * step)) * 16, rel=1e-6)
