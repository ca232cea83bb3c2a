"""Layers whose symmetry is learnt: their closed forms, their bounds, and faults planted in each."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import log
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.errors import UserError
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import feature_field
from gcnnbench.nn.groups import P2, P4, P4M, TRIVIAL, Element, Group
from gcnnbench.nn.likelihood import LikelihoodConv, divergence, likelihood_penalty
from gcnnbench.nn.pathway import ResidualPathwayConv
from gcnnbench.nn.projected import ProjectedConv
from gcnnbench.nn.projection import deviation, orbit, orbit_table, project, transformed
from gcnnbench.nn.relaxed import RelaxedGroupConv

ROT90 = Element(0, 1)
Make = Callable[..., Any]


def value(number: Tensor) -> float:
    return number.detach().item()


def pathway(*sizes: int, **geometry: Any) -> Any:
    return ResidualPathwayConv(*sizes, equivariant_strength=1e-4, free_strength=1e-2, **geometry)


def relaxed(*sizes: int, **geometry: Any) -> Any:
    return RelaxedGroupConv(*sizes, banks=2, strength=0.1, **geometry)


def projected(*sizes: int, **geometry: Any) -> Any:
    return ProjectedConv(*sizes, strength=0.1, **geometry)


MAKES: tuple[Make, ...] = (pathway, relaxed, projected, LikelihoodConv)


@torch.no_grad()
def drawn(layer: Any) -> Any:
    for parameter in layer.parameters():
        parameter.copy_(torch.randn_like(parameter))
    return layer


def largest_change(bank: Tensor, group: Group, in_group: Group) -> float:
    """`max_g ‖gW − W‖`, what the bounds of these layers are about."""
    return value((orbit(bank, group, in_group) - bank).flatten(1).norm(dim=1).max())


@torch.no_grad()
def breaks(layer: nn.Module, element: Element, group: Group, in_group: Group) -> float:
    """The largest |g f(x) − f(g x)| over the deviation of f(x)."""
    features = torch.randn(2, 3 * len(in_group), 9, 9)
    moved = layer(feature_field(in_group).act(features, element))
    given = layer(features)
    return value((feature_field(group).act(given, element) - moved).abs().max() / given.std())


@pytest.mark.parametrize("make", MAKES)
@pytest.mark.parametrize(("group", "in_group"), [(P4, P4), (P4, TRIVIAL), (P4M, P4M), (P2, TRIVIAL)])
def test_the_symmetric_point_is_exact_and_others_are_not(make: Make, group: Group, in_group: Group) -> None:
    layer = drawn(make(3, 2, 3, group=group, in_group=in_group, padding=1))
    element = group.generators[0]
    assert breaks(layer, element, group, in_group) > 0.1
    layer.symmetric()
    assert max(breaks(layer, g, group, in_group) for g in group.elements) < 1e-12


@pytest.mark.parametrize("make", [relaxed, LikelihoodConv])
def test_a_fresh_layer_is_exact_where_its_method_starts_there(make: Make) -> None:
    assert breaks(make(3, 2, 3, group=P4), ROT90, P4, P4) < 1e-12


@pytest.mark.parametrize("make", MAKES)
def test_the_layer_is_the_convolution_with_its_bank(make: Make) -> None:
    layer = drawn(make(4, 6, 3, group=P4, stride=2, padding=1, groups=2))
    bank, bias = layer.bank()
    features = torch.randn(2, 16, 9, 9)
    assert torch.equal(layer(features), nn.functional.conv2d(features, bank, bias, 2, 1, 1, 2))
    assert bank.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("make", MAKES)
def test_first_weights_are_as_wide_as_those_of_a_group_convolution(make: Make) -> None:
    usual = GroupConv(16, 16, 3, group=P4).bank()[0].std()
    assert value(make(16, 16, 3, group=P4).bank()[0].std() / usual) == pytest.approx(1, abs=0.05)


# The projection.


def test_the_projection_is_idempotent_linear_and_self_adjoint() -> None:
    for in_group in (P4, TRIVIAL):
        one, other = torch.randn(2, 8, 3 * len(in_group), 3, 3)

        def pi(bank: Tensor, in_group: Group = in_group) -> Tensor:
            return project(bank, P4, in_group)

        torch.testing.assert_close(pi(pi(one)), pi(one), rtol=0, atol=1e-15)
        torch.testing.assert_close(pi(2 * one - other), 2 * pi(one) - pi(other), rtol=0, atol=1e-14)
        assert value((pi(one) * other).sum()) == pytest.approx(value((one * pi(other)).sum()), abs=1e-12)


@pytest.mark.parametrize(("group", "in_group"), [(P4, P4), (P4, TRIVIAL), (P4M, P4M), (P4M, TRIVIAL)])
def test_its_image_is_what_group_convolutions_can_be(group: Group, in_group: Group) -> None:
    conv = GroupConv(1, 1, 3, group=group, in_group=in_group, bias=False)
    torch.testing.assert_close(project(conv.bank()[0], group, in_group), conv.bank()[0], rtol=0, atol=1e-15)
    dimension = conv.bank()[0].numel()
    units = torch.eye(dimension).view(dimension, *conv.bank()[0].shape)
    image = torch.stack([project(unit, group, in_group).flatten() for unit in units])
    assert int(torch.linalg.matrix_rank(image)) == conv.weight.numel()
    assert value(image.trace()) == pytest.approx(conv.weight.numel())


def test_a_bank_drawn_at_random_lies_outside_by_its_share_of_dimensions() -> None:
    banks = torch.randn(200, 8, 8, 3, 3)
    squares = [deviation(bank, P4, P4) ** 2 for bank in banks]
    assert sum(squares) / len(squares) == pytest.approx(3 / 4, abs=0.01)
    assert deviation(torch.zeros(4, 4, 3, 3), P4, P4) == 0


def test_the_table_is_the_definition() -> None:
    bank = torch.randn(8, 12, 3, 3)
    expected = torch.stack([transformed(bank, g, feature_field(P4), feature_field(P4)) for g in P4.elements])
    assert torch.equal(orbit(bank, P4, P4, orbit_table(bank.shape, P4, P4)), expected)
    given = torch.randn(8, 12, 3, 3, requires_grad=True)
    assert torch.autograd.gradcheck(lambda bank: orbit(bank, P4, P4), (given[:4, :4],))


def test_an_element_acts_on_a_bank_as_it_does_on_features() -> None:
    """`(gW)(g f) = g (W f)`: the definition of the moved bank, for an element that is not its own inverse."""
    bank, features = torch.randn(8, 12, 3, 3), torch.randn(2, 12, 7, 7)
    field = feature_field(P4)
    for g in P4M.elements[:4]:
        moved = nn.functional.conv2d(field.act(features, g), transformed(bank, g, field, field))
        torch.testing.assert_close(moved, field.act(nn.functional.conv2d(features, bank), g))


def test_planted_faults_of_the_projection_are_seen() -> None:
    """g for its inverse on one side, pixels that stay, the group outside: none of them fixes a group convolution."""
    bank, field = GroupConv(2, 2, 3, group=P4, bias=False).bank()[0].detach(), feature_field(P4)
    rows = torch.arange(8)

    def wrong(fibre: list[int], element: Element, pixels: bool = True, outer: bool = False) -> Tensor:
        if outer:
            bank_by = bank.unflatten(0, (4, 2)).unflatten(2, (4, 2))
            return element.act(bank_by[fibre][:, :, fibre].flatten(0, 1).flatten(1, 2))
        moved = field.act(bank, element) if pixels else field.act(element.inverse.act(bank), element)
        return moved[rows.view(2, 4)[:, fibre].flatten()]

    right = [P4.index(ROT90.inverse * h) for h in P4.elements]
    inverse = [P4.index(ROT90 * h) for h in P4.elements]
    torch.testing.assert_close(wrong(right, ROT90), bank)
    for faulty in (wrong(inverse, ROT90), wrong(right, ROT90, pixels=False), wrong(right, ROT90, outer=True)):
        assert value((faulty - bank).norm() / bank.norm()) > 0.1


# The residual pathway.


def test_the_residual_pathway_without_a_free_path_is_a_group_convolution_to_the_bit() -> None:
    torch.manual_seed(3)
    usual = GroupConv(3, 4, 3, group=P4)
    torch.manual_seed(3)
    layer = ResidualPathwayConv(3, 4, 3, group=P4, equivariant_strength=0, free_strength=0, scale=0)
    features = torch.randn(2, 12, 8, 8)
    assert torch.equal(layer.weight, usual.weight)
    assert torch.equal(layer(features), usual(features))


def test_the_residual_pathway_is_two_convolutions_in_one() -> None:
    layer = drawn(pathway(3, 4, 3, group=P4))
    features = torch.randn(2, 12, 8, 8)
    two = GroupConv.forward(layer, features)
    free = nn.functional.conv2d(features, layer.free)
    layer.symmetric()
    torch.testing.assert_close(two, layer(features) + free)


def test_the_residual_pathway_stays_within_its_bound() -> None:
    for _ in range(20):
        layer = drawn(pathway(2, 3, 3, group=P4))
        assert largest_change(layer.bank()[0], P4, P4) <= 2 * value(layer.free.norm())


def test_the_penalty_of_the_residual_pathway() -> None:
    layer = drawn(pathway(2, 3, 3, group=P4))
    expected = 1e-4 * layer.weight.square().sum() + 1e-2 * layer.free.square().sum()
    assert value(layer.penalty()) == pytest.approx(value(expected), rel=1e-12)


# The relaxed group convolution.


def test_relaxed_weights_answer_linearly_to_a_small_change() -> None:
    """The change of the bank is that of one copy of one filter: ‖ψ‖·ε."""
    layer = relaxed(3, 4, 3, group=P4)
    before = layer.bank()[0].detach()
    with torch.no_grad():
        layer.mixing[1, 2] += 1e-3
    changed = value((layer.bank()[0] - before).norm())
    assert changed == pytest.approx(1e-3 * value(layer.weight[4:].norm()), rel=1e-9)
    assert 1e-5 < breaks(layer, ROT90, P4, P4) < 1e-1


def test_the_relaxed_penalty_is_over_neighbours_by_a_quarter_turn() -> None:
    layer = drawn(relaxed(2, 2, 3, group=P4))
    m = layer.mixing
    expected = sum(value((m[bank, g] - m[bank, (g + 1) % 4]).abs()) for bank, g in product(range(2), range(4)))
    assert value(layer.penalty()) == pytest.approx(0.1 * expected, rel=1e-12)
    layer.symmetric()
    assert value(layer.penalty()) == 0


# The projection penalty.


def test_the_projection_penalty_and_its_gradient() -> None:
    layer = drawn(projected(2, 3, 3, group=P4))
    outside = (layer.weight - project(layer.weight, P4, P4)).detach()
    layer.penalty().backward()
    assert layer.weight.grad is not None
    torch.testing.assert_close(layer.weight.grad, 0.1 * outside)
    assert value(layer.penalty()) == pytest.approx(0.05 * value(outside.square().sum()), rel=1e-12)
    assert largest_change(layer.weight, P4, P4) <= 2 * value(outside.norm())


# The likelihood.


def test_a_point_mass_gives_the_free_bank_to_the_bit() -> None:
    layer = LikelihoodConv(2, 3, 3, group=P4)
    with torch.no_grad():
        layer.theta[0] = 80
    assert torch.equal(layer.bank()[0], layer.weight)


def test_a_likelihood_that_a_subgroup_keeps_is_exact_for_that_one_only() -> None:
    layer = drawn(LikelihoodConv(3, 2, 3, group=P4, padding=1))
    with torch.no_grad():
        layer.theta.copy_(torch.tensor([0.0, -2000.0, 0.0, -2000.0]))
    assert breaks(layer, Element(0, 2), P4, P4) < 1e-12
    assert breaks(layer, ROT90, P4, P4) > 0.1


def test_the_likelihood_stays_within_its_bound() -> None:
    largest = 0.0
    for _ in range(50):
        layer = drawn(LikelihoodConv(2, 2, 3, group=P4))
        bound = value(layer.weight.norm() * layer.degree()["variation"])
        largest = max(largest, largest_change(layer.bank()[0], P4, P4) / bound)
    assert 0.3 < largest <= 1


def test_the_divergence_on_two_points() -> None:
    p, q = torch.tensor([0.25, 0.75]), torch.tensor([0.5, 0.5])
    expected = 0.25 * log(0.25 / 0.5) + 0.75 * log(0.75 / 0.5)
    assert value(divergence(p.log(), q.log())) == pytest.approx(expected, rel=1e-12)


def test_the_likelihood_penalty_pulls_a_layer_to_the_one_before_and_not_back() -> None:
    first, second = (drawn(LikelihoodConv(2, 2, 3, group=P4)) for _ in range(2))
    apart = divergence(second.log_likelihood, first.log_likelihood)
    alone = divergence(first.log_likelihood, torch.full((4,), -log(4)))
    found = likelihood_penalty([first, second], 0, 3)
    assert value(found) == pytest.approx(1.5 * value(alone + apart), rel=1e-12)
    found.backward()
    (expected,) = torch.autograd.grad(1.5 * divergence(first.log_likelihood, torch.full((4,), -log(4))), first.theta)
    torch.testing.assert_close(first.theta.grad, expected)


def test_alignment_is_zero_where_the_identity_is_likeliest() -> None:
    layer = LikelihoodConv(2, 2, 3, group=P4)
    with torch.no_grad():
        layer.theta.copy_(torch.tensor([1.0, 0.5, 0.0, 0.0]))
        assert value(likelihood_penalty([layer], 5, 0)) == 0
        layer.theta.copy_(torch.tensor([0.5, 1.0, 0.0, 0.0]))
        assert value(likelihood_penalty([layer], 5, 0)) == pytest.approx(2.5, rel=1e-12)


@pytest.mark.parametrize(
    ("make", "match"),
    [
        (lambda: ProjectedConv(1, 1, 3, strength=-1, group=P4), r"strength \(=-1\)"),
        (lambda: RelaxedGroupConv(1, 1, 3, banks=0, strength=0, group=P4), r"banks \(=0\)"),
        (
            lambda: ResidualPathwayConv(1, 1, 3, equivariant_strength=0, free_strength=-2, group=P4),
            r"free_strength \(=-2\)",
        ),
        (lambda: LikelihoodConv(1, 1, 3, group=P4, in_group=P2), r"in_group \(=p2\)"),
        (lambda: likelihood_penalty([], 1, 1), "there must be a layer"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(make: Callable[[], object], match: str) -> None:
    with pytest.raises(UserError, match=match):
        make()
