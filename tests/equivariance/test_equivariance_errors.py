"""The two forms of the error against their definitions, and the measured network, which must stay as it was."""

from __future__ import annotations

import warnings
from importlib import import_module
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.errors import measure
from gcnnbench.equivariance.random_weights import draw_weights
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.errors import UserError
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import Field, Invariant, RegularField, ScalarField
from gcnnbench.nn.groups import P4, P4M, TRIVIAL, Element


class Small(nn.Module):
    """A p4 network with a pool that breaks at odd sizes and works in place behind its depths."""

    def __init__(self, depths: tuple[str, ...] = ("lift", "pool")) -> None:
        super().__init__()
        self.depths = depths
        self.lift = GroupConv(2, 3, 3, group=P4, in_group=TRIVIAL, padding=1)
        self.norm = nn.BatchNorm2d(12)
        self.pool = nn.MaxPool2d(2)
        self.pool.field = RegularField(P4)  # type: ignore[assignment]
        self.linear = nn.Linear(12, 5)
        self.norm.running_mean = torch.randn(12)

    def forward(self, images: Tensor) -> Tensor:
        features = self.norm(self.lift(images).relu_())
        logits: Tensor = self.linear(self.pool(features).relu_().mean((-2, -1)))
        return logits


def network(seed: int = 0) -> Small:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Small()


def by_definition(model: Small, images: Tensor) -> dict[str, tuple[float, float]]:
    """Both forms at the depths, and the invariance error, without hooks and in one go."""

    def features(x: Tensor) -> dict[str, Tensor]:
        lift = model.lift(x)
        pool = model.pool(model.norm(lift.relu()))
        return {"lift": lift, "pool": pool, "logits": model.linear(pool.relu().mean((-2, -1)))}

    def moved(field: Field, x: Tensor, g: Element) -> Tensor:
        return field.act(x, g)

    fields: dict[str, Field] = {"lift": RegularField(P4), "pool": RegularField(P4), "logits": Invariant()}
    upright = features(images)
    found = {}
    for name, f in upright.items():
        turned = [features(g.act(images))[name] - moved(fields[name], f, g) for g in P4.elements[1:]]
        size = f - f.mean(0) if name == "logits" else f
        relative = (torch.stack(turned).square().mean() / size.square().mean()).sqrt()
        found[name] = (float(sum(t.abs().mean() for t in turned)), float(relative))
    return found


@pytest.mark.parametrize("batch_size", [3, 7, 128])
def test_equals_the_definition_whatever_the_batches(batch_size: int) -> None:
    images = sample_images(11, 2, 9).double()
    model = network()
    state = measure(model, images.float(), P4.elements, batch_size=batch_size)
    with torch.no_grad():
        expected = by_definition(model.double().eval(), images.float().double())
    assert [depth.depth for depth in state.depths] == ["lift", "pool"]
    for depth in state.depths:
        assert (depth.paper, depth.relative) == pytest.approx(expected[depth.depth], rel=1e-9)
    assert state.invariance_error == pytest.approx(expected["logits"][1], rel=1e-9)
    assert state.invariance_error is not None
    assert state.invariance_error > 1e-3
    assert state.dtype == "float64"


def test_the_network_stays_as_it_was() -> None:
    model = network().train()
    model.norm.eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    identities = [id(value) for value in (*model.parameters(), *model.buffers())]
    measure(model, sample_images(4, 2, 8), P4.elements)
    assert [id(value) for value in (*model.parameters(), *model.buffers())] == identities
    for name, value in model.state_dict().items():
        assert value.dtype == before[name].dtype
        assert torch.equal(value, before[name])
    assert (model.training, model.lift.training, model.norm.training) == (True, True, False)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


class Shared(nn.Module):
    """One convolution under two names, and one weight in two layers."""

    def __init__(self) -> None:
        super().__init__()
        shared = nn.Conv2d(2, 2, 3, padding=1)
        self.first, self.again = nn.Sequential(shared), nn.Sequential(shared)
        self.other = nn.Conv2d(2, 2, 3, padding=1)
        self.other.weight = shared.weight

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.other(self.again(self.first(images)))
        return features.mean((-2, -1))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_what_layers_share_they_share_while_measured_and_after(dtype: torch.dtype) -> None:
    model = Shared()
    weight = model.first[0].weight
    measure(model, sample_images(2, 2, 8), P4.elements, dtype=dtype)
    assert model.again[0] is model.first[0]
    assert model.other.weight is model.first[0].weight is weight
    drawn = draw_weights(model, torch.float64)
    assert drawn["other.weight"] is drawn["first.0.weight"]
    assert "again.0.weight" not in drawn


def test_the_network_comes_back_when_it_fails() -> None:
    model = network().train()
    with pytest.raises(UserError, match="needs 2"):
        measure(model, sample_images(2, 3, 8), P4.elements)
    assert model.training
    assert model.lift.weight.dtype == torch.float32


def test_flips_are_counted_over_images_and_elements() -> None:
    class Corner(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return torch.stack([images[:, 0, 0, 0], images[:, 0, -1, -1]], 1)

    images = torch.zeros(2, 1, 4, 4)
    images[:, 0, 0, 0] = 1.0
    images[1, 0, 0, -1] = 2.0
    state = measure(Corner(), images, P4.elements)
    # image 0 flips under rot180 alone (ties go to the first class); image 1 under rot180 and rot270
    assert state.flips == pytest.approx(3 / 6)


def test_the_child_s_fields_say_where_to_look() -> None:
    model = network()
    del model.depths
    assert [depth.depth for depth in measure(model, sample_images(2, 2, 8), P4.elements).depths] == ["lift", "pool"]


def test_errors_are_null_where_they_are_not_defined() -> None:
    state = measure(network(), sample_images(2, 2, 8), P4M.elements)  # p4 features know no mirrors
    assert [(depth.paper, depth.relative) for depth in state.depths] == [(None, None)] * 2
    assert state.invariance_error is not None
    silent = network()
    nn.init.zeros_(silent.linear.weight)
    assert measure(silent, sample_images(2, 2, 8), P4.elements).invariance_error is None


def test_features_of_another_shape_have_no_error() -> None:
    class Tall(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = nn.AvgPool2d((2, 1))
            self.pool.field = ScalarField()  # type: ignore[assignment]

        def forward(self, images: Tensor) -> Tensor:
            features: Tensor = self.pool(images)
            return features.mean((-2, -1))

    (depth,) = measure(Tall(), sample_images(3, 2, 8), P4.elements).depths
    assert (depth.paper, depth.relative) == (None, None)


def test_a_layer_that_runs_twice_is_two_depths() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = GroupConv(1, 1, 3, group=P4, padding=1)
            self.depths = ("conv",)

        def forward(self, images: Tensor) -> Tensor:
            features: Tensor = self.conv(self.conv(images.repeat(1, 4, 1, 1)))
            return features.mean((-2, -1))

    names = [depth.depth for depth in measure(Twice(), sample_images(2, 1, 8), P4.elements).depths]
    assert names == ["conv", "conv#2"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depths": ("lift", "pol")}, "depths names 'pol', but the network has no such layer"),
        ({"depths": ("norm",)}, "depths names 'norm', but this layer has no `field`"),
    ],
)
def test_wrong_depths_are_named(change: dict[str, Any], message: str) -> None:
    model = network()
    vars(model).update(change)
    with pytest.raises(UserError, match=message):
        measure(model, sample_images(2, 2, 8), P4.elements)


def test_images_that_cannot_be_turned_are_refused() -> None:
    with pytest.raises(UserError, match="8×9"):
        measure(network(), torch.rand(2, 2, 8, 9), P4.elements)
    with pytest.raises(UserError, match="an element that moves them"):
        measure(network(), torch.rand(2, 2, 8, 8), TRIVIAL.elements)
    with pytest.raises(UserError, match="logits"):
        measure(nn.Identity(), torch.rand(2, 2, 8, 8), P4.elements)
    broken = network()
    nn.init.constant_(broken.linear.bias, float("nan"))
    with pytest.raises(FloatingPointError, match="not finite"):
        measure(broken, sample_images(2, 2, 8), P4.elements)


def test_single_precision_shows_as_such() -> None:
    exact = measure(network(), sample_images(4, 2, 8), P4.elements)
    rough = measure(network(), sample_images(4, 2, 8), P4.elements, dtype=torch.float32)
    assert rough.dtype == "float32"
    (lift, _), (rough_lift, _) = exact.depths, rough.depths
    assert lift.relative is not None
    assert rough_lift.relative is not None
    assert lift.relative < 1e-15 < 1e-9 < rough_lift.relative < 1e-5


def test_e2cnn_tensors_move_by_their_own_type() -> None:
    gspaces, enn = import_module("e2cnn.gspaces"), import_module("e2cnn.nn")
    warnings.filterwarnings("ignore", message="indexing with dtype torch.uint8", category=UserWarning)
    space = gspaces.Rot2dOnR2(8)
    image = enn.FieldType(space, [space.trivial_repr])
    mixed = enn.FieldType(space, [space.regular_repr, space.irrep(1), space.trivial_repr])

    class Steered(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = enn.R2Conv(image, mixed, 3, padding=1)

        def forward(self, images: Tensor) -> Tensor:
            features: Tensor = self.conv(enn.GeometricTensor(images, image)).tensor
            return features.square().mean((-2, -1)).sum(1, keepdim=True)

    model = Steered()
    (depth,) = measure(model, sample_images(3, 1, 9), P4.elements).depths
    assert depth.depth == "conv"
    assert depth.relative is not None
    assert depth.relative < 1e-14
    filters = model.conv.expand_parameters()[0].detach()
    turned_wrongly = measure(Wrong(filters, mixed), sample_images(3, 1, 9), P4.elements).depths[0].relative
    assert turned_wrongly is not None
    assert turned_wrongly > 0.1


class Wrong(nn.Module):
    """The same filters, two channels exchanged, under the same field type."""

    def __init__(self, filters: Tensor, field_type: Any) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, filters.shape[0], 3, padding=1, bias=False)
        order = torch.arange(filters.shape[0])
        order[0], order[1] = 1, 0
        self.conv.weight = nn.Parameter(filters[order])
        from gcnnbench.equivariance.depths import GeometricField

        self.conv.field = GeometricField(field_type)  # type: ignore[assignment]

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.conv(images)
        return features.mean((-2, -1))
