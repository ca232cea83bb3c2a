"""Equivariant subsampling: exact, index by index, at every size, under all of D4, ties included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import max_pool2d

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.registry import Registry
from gcnnbench.nn.fields import RegularField
from gcnnbench.nn.groups import P2, P4, P4M, TRIVIAL, Group
from gcnnbench.nn.subsampling import (
    EquivariantMaxPool,
    EquivariantSubsample,
    equivariant_max_pool,
    equivariant_subsample,
)

FIELD = RegularField(P4M)
LAYERS = [equivariant_max_pool, equivariant_subsample]


def error(layer: object, features: Tensor) -> float:
    """The largest |g f(x) − f(g x)| over D4."""
    assert callable(layer)
    output = layer(features)
    return max(float((FIELD.act(output, g) - layer(FIELD.act(features, g))).abs().max()) for g in P4M.elements)


@pytest.mark.parametrize("size", range(5, 34))
@pytest.mark.parametrize("layer", LAYERS)
def test_is_exact_at_every_size(layer: object, size: int) -> None:
    features = torch.randn(4, 16, size, size)
    assert error(layer, features) == 0
    assert callable(layer)
    assert layer(features).shape == (4, 16, -(-size // 2), -(-size // 2))


@pytest.mark.parametrize("size", [8, 9])
@pytest.mark.parametrize("layer", LAYERS)
def test_ties_are_exact_too(layer: object, size: int) -> None:
    features = torch.randn(1, 16, size, size)
    half = sum(FIELD.act(features, g) for g in P4M.elements if g.turns in (0, 2) and not g.mirrored)
    whole = sum(FIELD.act(features, g) for g in P4M.elements)
    symmetric = torch.cat([torch.as_tensor(half), torch.as_tensor(whole), torch.ones(1, 16, size, size)])
    assert error(layer, symmetric) < 1e-12


def test_a_fixed_grid_is_not_exact() -> None:
    features = torch.randn(2, 16, 9, 9)
    assert error(lambda x: max_pool2d(x, 2), features) > 1e-3
    assert error(lambda x: max_pool2d(x, 2, ceil_mode=True), features) > 1e-3
    assert error(lambda x: x[..., ::2, ::2], features[..., :8, :8]) > 1e-3


def test_a_choice_by_one_channel_is_not_exact() -> None:
    def by_first_channel(features: Tensor) -> Tensor:
        phases = [features[..., a::2, b::2] for a in (0, 1) for b in (0, 1)]
        best = torch.stack([phase[:, 0].square().sum((1, 2)) for phase in phases]).argmax(0)
        return torch.stack(phases, 1)[torch.arange(len(features)), best]

    assert error(by_first_channel, torch.randn(8, 16, 8, 8)) > 1e-3


def test_even_pooling_is_ordinary_pooling() -> None:
    features = torch.randn(2, 4, 8, 8)
    assert torch.equal(equivariant_max_pool(features), max_pool2d(features, 2))


def test_odd_pooling_subsamples_all_windows() -> None:
    features = torch.rand(3, 4, 9, 9)
    assert torch.equal(
        equivariant_max_pool(features), equivariant_subsample(max_pool2d(features, 2, stride=1, padding=1))
    )


def test_takes_the_phase_of_the_largest_norm_image_by_image() -> None:
    features = torch.rand(4, 2, 6, 6)
    for image, (row, column) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        features[image, :, row::2, column::2] += 1
    output = equivariant_subsample(features)
    for image, (row, column) in enumerate([(0, 0), (0, 1), (1, 0), (1, 1)]):
        assert torch.equal(output[image], features[image, :, row::2, column::2])


def test_phases_are_all_chosen_somewhere() -> None:
    features = torch.randn(64, 1, 6, 6)
    output = equivariant_subsample(features)
    chosen = {
        (a, b)
        for a in (0, 1)
        for b in (0, 1)
        for x, y in zip(features, output, strict=True)
        if torch.equal(x[:, a::2, b::2], y)
    }
    assert len(chosen) == 4


def test_odd_pooling_takes_one_set_of_windows_though_the_maximum_stands_in_all() -> None:
    features = torch.rand(8, 2, 9, 9)
    windows, output = max_pool2d(features, 2, stride=1, padding=1), equivariant_max_pool(features)
    for image in range(8):
        sets = [windows[image, :, a::2, b::2] for a in (0, 1) for b in (0, 1)]
        assert {float(one.max()) for one in sets} == {float(features[image].max())}
        assert sum(torch.equal(output[image], one) for one in sets) == 1


@pytest.mark.parametrize("layer", LAYERS)
def test_the_gradient_goes_to_the_chosen_phase(layer: object) -> None:
    assert callable(layer)
    features = torch.randn(2, 3, 7, 7) if layer is equivariant_max_pool else torch.randn(2, 3, 6, 6)
    assert torch.autograd.gradcheck(layer, (features.requires_grad_(),))


def test_keeps_channels_last_memory() -> None:
    features = torch.randn(2, 8, 9, 9).contiguous(memory_format=torch.channels_last)
    assert equivariant_max_pool(features).is_contiguous(memory_format=torch.channels_last)


def test_modules_say_how_they_transform() -> None:
    for module in (EquivariantMaxPool(P4), EquivariantSubsample(P4)):
        assert module.field == RegularField(P4)
        assert repr(module) == f"{type(module).__name__}(group=p4)"
    features = torch.randn(2, 4, 7, 7)
    assert torch.equal(EquivariantMaxPool(TRIVIAL)(features), equivariant_max_pool(features))
    assert torch.equal(
        EquivariantSubsample(TRIVIAL)(features[..., 1:, 1:]), equivariant_subsample(features[..., 1:, 1:])
    )


WIDEST = [(8, 40, 28, 28), (8, 64, 56, 56), (2, 512, 56, 56), (1, 512, 112, 112), (8, 40, 27, 27), (2, 128, 31, 31)]
"""At the fourth, norms of tied phases summed in float32 over strided slices differ by 1e-5."""


@pytest.mark.parametrize("shape", WIDEST)
@pytest.mark.parametrize("group", [P2, P4M], ids=lambda group: group.name)
def test_ties_are_exact_in_single_precision_at_the_widest_shapes(shape: tuple[int, ...], group: Group) -> None:
    draws = torch.randn(shape, dtype=torch.float32).relu()
    alike = torch.stack([g.act(draws) for g in group.elements]).sum(0).contiguous(memory_format=torch.channels_last)
    for rule in (equivariant_subsample, equivariant_max_pool):
        given = rule(alike)
        for g in group.elements:
            turned = rule(g.act(alike).contiguous(memory_format=torch.channels_last))
            far = float((turned - g.act(given)).abs().max())
            assert far < 1e-5 * float(given.abs().max()), f"{rule.__name__} chose another phase under {g.name}"


def test_the_tolerance_follows_the_rounding_of_the_features() -> None:
    draws = torch.randn(8, 20, 8, 8, dtype=torch.float32).relu()
    alike = draws + draws.rot90(2, (-2, -1))
    rounded = (alike * (1 + 1e-3 * torch.randn(alike.shape, dtype=torch.float32))).bfloat16()
    given = equivariant_subsample(rounded).float()
    assert torch.allclose(given.rot90(2, (-2, -1)), given, rtol=0.05, atol=0.05)


def shapes_in_entries() -> set[tuple[int, ...]]:
    """What the sampling layers of the registry's entries are given, with four images."""
    found: set[tuple[int, ...]] = set()

    def see(_layer: nn.Module, given: tuple[Tensor]) -> None:
        found.add(tuple(given[0].shape))

    registry = Registry.load()
    listed = {name: card for card in registry.benchmarks.values() for name in card.entries}
    for entry, card in listed.items():
        slug, size = split_entry(entry)
        if registry.models[slug].requires:
            continue
        network = registry.build(entry, card).float().eval()
        for layer in network.modules():
            if isinstance(layer, (EquivariantMaxPool, EquivariantSubsample)):
                layer.register_forward_pre_hook(see)
        if any(layer._forward_pre_hooks for layer in network.modules()):
            network(torch.rand(4, card.input.channels, size, size, dtype=torch.float32))
    return found


def test_ties_are_exact_in_single_precision_at_the_shapes_of_every_entry() -> None:
    shapes = shapes_in_entries()
    assert shapes
    for shape in shapes:
        test_ties_are_exact_in_single_precision_at_the_widest_shapes(shape, P4)
