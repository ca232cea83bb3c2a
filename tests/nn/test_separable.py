"""Separable group convolutions against the group convolution that they are, and faults that the check must catch."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d

from gcnnbench.errors import UserError
from gcnnbench.nn.convolution import GroupConv, filter_bank
from gcnnbench.nn.fields import feature_field
from gcnnbench.nn.groups import P4, P4M, TRIVIAL, Group
from gcnnbench.nn.separable import Separable, SeparableGroupConv, separable_weight

BOTH: tuple[Separable, ...] = ("g", "gc")
CASES = list(product((P4, P4M), BOTH))


def by_definition(layer: SeparableGroupConv) -> Tensor:
    """`W[o, i, h](u) = P[o, i, h] S[o, i](u)`, entry by entry; with gc the kernel is that of o alone."""
    out_channels, in_channels, order = layer.pointwise.shape
    weight = torch.zeros(out_channels, in_channels, order, layer.kernel_size, layer.kernel_size)
    for o, i, h in product(range(out_channels), range(in_channels), range(order)):
        kernel = layer.spatial[o, i] if layer.separable == "g" else layer.spatial[o, 0]
        weight[o, i, h] = layer.pointwise[o, i, h] * kernel
    return weight


@pytest.mark.parametrize(("group", "separable"), CASES, ids=str)
@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "bias"), [(3, 1, 1, True), (4, 1, 0, True), (3, 2, 1, False)]
)
def test_is_a_group_convolution_with_the_composed_filters(
    group: Group, separable: Separable, kernel_size: int, stride: int, padding: int, bias: bool
) -> None:
    arguments = {"group": group, "stride": stride, "padding": padding, "bias": bias}
    layer = SeparableGroupConv(3, 5, kernel_size, separable=separable, **arguments)  # type: ignore[arg-type]
    whole = GroupConv(3, 5, kernel_size, **arguments)  # type: ignore[arg-type]
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    with torch.no_grad():
        whole.weight.copy_(by_definition(layer))
        if layer.bias is not None and whole.bias is not None:
            whole.bias.copy_(layer.bias)
    features = torch.randn(2, 3 * len(group), 9, 9)
    expected = whole(features)
    torch.testing.assert_close(layer(features), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(layer.weight, whole.weight, rtol=0, atol=1e-12)
    assert expected.std() > 1


@pytest.mark.parametrize(("group", "separable"), CASES, ids=str)
def test_gradients_are_those_of_the_composed_filters(group: Group, separable: Separable) -> None:
    layer = SeparableGroupConv(2, 3, 3, group=group, separable=separable, padding=1)
    whole = GroupConv(2, 3, 3, group=group, padding=1)
    features, wanted = torch.randn(2, 2 * len(group), 5, 5), torch.randn(2, 3 * len(group), 5, 5)
    whole.weight.data.copy_(by_definition(layer))
    (layer(features) * wanted).sum().backward()
    (whole(features) * wanted).sum().backward()
    assert whole.weight.grad is not None
    assert layer.pointwise.grad is not None
    assert layer.spatial.grad is not None
    by_entry = whole.weight.grad
    torch.testing.assert_close(layer.pointwise.grad, (by_entry * layer.spatial.unsqueeze(2)).sum((3, 4)))
    by_kernel = (by_entry * layer.pointwise[..., None, None]).sum(2)
    expected = by_kernel if separable == "g" else by_kernel.sum(1, keepdim=True)
    torch.testing.assert_close(layer.spatial.grad, expected)


@torch.no_grad()
def equivariance_error(layer: nn.Module, group: Group, channels: int, size: int) -> float:
    """The largest |g f(x) − f(g x)| over the group, relative to the spread of f(x)."""
    field, features = feature_field(group), torch.randn(2, channels * len(group), size, size)
    output = layer(features)
    errors = [(field.act(output, g) - layer(field.act(features, g))).abs().max() for g in group.elements]
    return float(torch.stack(errors).max() / output.std())


@pytest.mark.parametrize(("group", "separable"), CASES, ids=str)
def test_is_equivariant_on_symmetric_grids_only(group: Group, separable: Separable) -> None:
    layer = SeparableGroupConv(3, 2, 3, group=group, separable=separable, padding=1)
    strided = SeparableGroupConv(3, 2, 3, group=group, separable=separable, padding=1, stride=2)
    assert equivariance_error(layer, group, 3, 8) < 1e-12
    assert equivariance_error(strided, group, 3, 9) < 1e-12
    assert equivariance_error(strided, group, 3, 8) > 1e-3


class Faulty(nn.Module):
    """The two steps of a gc-separable p4m convolution with a fault planted in one of them."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault
        self.pointwise, self.spatial, self.bias = torch.randn(3, 2, 8), torch.randn(3, 1, 3, 3), torch.randn(3)

    def forward(self, features: Tensor) -> Tensor:
        mixing = filter_bank(self.pointwise[..., None, None], P4M, P4M)
        if self.fault == "no group shift":
            mixing = self.pointwise[:, None].expand(-1, 8, -1, -1).reshape(24, 16, 1, 1)
        kernels = filter_bank(self.spatial.unsqueeze(2), P4M, TRIVIAL)
        if self.fault == "kernel not turned":
            kernels = self.spatial.repeat_interleave(8, 0)
        if self.fault == "kernel turned the wrong way":
            kernels = torch.stack([g.inverse.act(self.spatial) for g in P4M.elements], 1).flatten(0, 1)
        if self.fault == "orientations outside channels":
            kernels = kernels.unflatten(0, (3, 8)).transpose(0, 1).flatten(0, 1)
        bias = torch.randn(24) if self.fault == "bias per orientation" else self.bias.repeat_interleave(8)
        return conv2d(conv2d(features, mixing), kernels, bias, padding=1, groups=24)


@pytest.mark.parametrize(
    "fault",
    [
        "no group shift",
        "kernel not turned",
        "kernel turned the wrong way",
        "orientations outside channels",
        "bias per orientation",
    ],
)
def test_a_planted_fault_is_noticed(fault: str) -> None:
    assert equivariance_error(Faulty(fault), P4M, 2, 7) > 1e-3
    assert equivariance_error(Faulty(""), P4M, 2, 7) < 1e-12


def test_what_is_shared_is_shared() -> None:
    assert separable_weight(torch.ones(2, 3, 4), torch.randn(2, 3, 5, 5)).std(2).max() == 0
    assert separable_weight(torch.ones(2, 3, 4), torch.randn(2, 1, 5, 5)).std((1, 2)).max() < 1e-12
    by_variant = {variant: SeparableGroupConv(3, 5, 3, group=P4, separable=variant) for variant in BOTH}
    counts = {name: sum(value.numel() for value in layer.parameters()) for name, layer in by_variant.items()}
    assert counts == {"g": 5 * 3 * 4 + 5 * 3 * 9 + 5, "gc": 5 * 3 * 4 + 5 * 9 + 5}


@pytest.mark.parametrize("separable", BOTH)
def test_starts_as_the_authors_code_does(separable: Separable) -> None:
    layer = SeparableGroupConv(6, 300, 3, group=P4, separable=separable)
    bound = (6 * 9) ** -0.5
    for parameter in layer.parameters():
        assert 0.97 * bound < parameter.abs().max() <= bound
        assert parameter.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


@pytest.mark.parametrize("separable", BOTH)
def test_output_is_born_in_channels_last_memory_and_the_state_is_the_parameters(separable: Separable) -> None:
    layer = SeparableGroupConv(2, 3, 3, group=P4, separable=separable)
    features = torch.randn(2, 8, 6, 6).contiguous(memory_format=torch.channels_last)
    assert layer(features).is_contiguous(memory_format=torch.channels_last)
    assert sorted(layer.state_dict()) == ["bias", "pointwise", "spatial"]


def test_mistakes_are_named_and_arguments_printed() -> None:
    with pytest.raises(UserError, match=r"separable \(='c'\) must be 'g' or 'gc'"):
        SeparableGroupConv(2, 3, 3, group=P4, separable="c")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"stride \(=0\) must be at least 1"):
        SeparableGroupConv(2, 3, 3, group=P4, separable="g", stride=0)
    with pytest.raises(UserError, match=r"has 2 channels, but the layer needs 8"):
        SeparableGroupConv(2, 3, 3, group=P4, separable="gc")(torch.randn(1, 2, 8, 8))
    text = repr(SeparableGroupConv(2, 3, 3, group=P4M, separable="g", padding=1))
    assert text == "SeparableGroupConv(2, 3, 3, group=p4m, separable='g', stride=1, padding=1, bias=True)"
