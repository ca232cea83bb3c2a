"""Group convolutions against their definition, their equivariance, and faults that the same check must catch."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from gcnnbench.errors import UserError
from gcnnbench.nn.convolution import GroupConv, filter_bank, group_conv2d
from gcnnbench.nn.fields import RegularField, feature_field
from gcnnbench.nn.groups import GROUPS, P4, P4M, TRIVIAL, Element, Group

ALL = list(GROUPS.values())
PAIRS = [(group, in_group) for group in ALL for in_group in {TRIVIAL.name: TRIVIAL, group.name: group}.values()]


def matrix(element: Element) -> Tensor:
    """What an element does to centred pixel coordinates (row, column): written down here, not taken from the code."""
    turn: Tensor = torch.tensor([[0, -1], [1, 0]])  # (row, column) = (0, 1), the right, goes to (-1, 0), the top
    mirror = torch.tensor([[1, 0], [0, -1]])
    result: Tensor = torch.linalg.matrix_power(turn, element.turns) @ torch.linalg.matrix_power(
        mirror, element.mirrored
    )
    return result


def by_definition(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    group: Group,
    in_group: Group,
    stride: int,
    padding: int,
    dilation: int,
    groups: int,
) -> Tensor:
    """`y[o, g](x) = Σ W[o, i, g⁻¹h](g⁻¹u) f[i, h](x + u) + b[o]`, offset by offset, element by element."""
    out_channels, channels, _, kernel_size, _ = weight.shape
    fields = pad(features, (padding,) * 4).unflatten(1, (groups, channels, len(in_group)))
    reach = dilation * (kernel_size - 1)
    rows, columns = (-(-(size - reach) // stride) for size in fields.shape[-2:])
    result = torch.zeros(features.shape[0], groups, out_channels // groups, len(group), rows, columns)
    matrices = [matrix(h) for h in group.elements]
    centre = (kernel_size - 1) / 2
    for at, g in enumerate(group.elements):
        back = torch.linalg.inv(matrix(g).double())
        for a, b in product(range(kernel_size), repeat=2):
            source = (back @ torch.tensor([a - centre, b - centre]) + centre).round().int().tolist()
            top, left = a * dilation, b * dilation
            window = fields[
                ..., top : top + stride * (rows - 1) + 1 : stride, left : left + stride * (columns - 1) + 1 : stride
            ]
            for h in range(len(in_group)):
                fibre = 0
                if in_group == group:
                    wanted = (back @ matrices[h].double()).round().long()
                    fibre = next(k for k, m in enumerate(matrices) if bool((m == wanted).all()))
                kernel = weight[:, :, fibre, source[0], source[1]].unflatten(0, (groups, -1))
                result[:, :, :, at] += torch.einsum("noi,bnirs->bnors", kernel, window[:, :, :, h])
    return (result.flatten(1, 2) + bias[:, None, None, None]).flatten(1, 2)


@pytest.mark.parametrize(("group", "in_group"), PAIRS, ids=lambda group: group.name)
@pytest.mark.parametrize(
    ("kernel_size", "stride", "padding", "dilation", "groups"),
    [(1, 1, 0, 1, 1), (3, 1, 1, 1, 1), (3, 2, 1, 1, 2), (4, 1, 0, 1, 1), (2, 2, 1, 2, 1), (5, 3, 2, 2, 2)],
)
def test_equals_the_definition(
    group: Group, in_group: Group, kernel_size: int, stride: int, padding: int, dilation: int, groups: int
) -> None:
    layer = GroupConv(
        2,
        4,
        kernel_size,
        group=group,
        in_group=in_group,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    features = torch.randn(2, 2 * len(in_group), 9, 11)
    assert layer.bias is not None
    expected = by_definition(features, layer.weight, layer.bias, group, in_group, stride, padding, dilation, groups)
    torch.testing.assert_close(layer(features), expected, rtol=0, atol=1e-10)
    assert expected.std() > 0.1


@torch.no_grad()
def equivariance_error(layer: nn.Module, group: Group, in_group: Group, channels: int, size: int) -> float:
    """The largest |g f(x) − f(g x)| over the group, relative to the spread of f(x)."""
    before, after = feature_field(in_group), feature_field(group)
    features = torch.randn(2, channels * len(in_group), size, size)
    output = layer(features)
    errors = [(after.act(output, g) - layer(before.act(features, g))).abs().max() for g in group.elements]
    return float(torch.stack(errors).max() / output.std())


@pytest.mark.parametrize(("group", "in_group"), PAIRS, ids=lambda group: group.name)
@pytest.mark.parametrize(
    ("size", "kernel_size", "stride", "padding", "dilation"),
    [(8, 3, 1, 1, 1), (9, 3, 2, 1, 1), (8, 4, 1, 0, 1), (8, 2, 2, 0, 1), (9, 3, 1, 2, 2), (7, 1, 2, 0, 1)],
)
def test_is_equivariant_on_symmetric_grids(
    group: Group, in_group: Group, size: int, kernel_size: int, stride: int, padding: int, dilation: int
) -> None:
    layer = GroupConv(
        3, 2, kernel_size, group=group, in_group=in_group, stride=stride, padding=padding, dilation=dilation
    )
    assert equivariance_error(layer, group, in_group, 3, size) < 1e-12


class Faulty(nn.Module):
    """A p4m convolution with a fault planted in its bank, its bias or its output."""

    def __init__(self, fault: str, stride: int = 1) -> None:
        super().__init__()
        self.fault, self.stride = fault, stride
        self.weight = torch.randn(3, 2, 8, 3, 3)
        self.bias = torch.randn(3)

    def forward(self, features: Tensor) -> Tensor:
        elements = P4M.elements
        filters = []
        for g in elements:
            shift = [P4M.index(g.inverse * h) for h in elements]
            if self.fault == "no group shift":
                shift = list(range(8))
            if self.fault == "group shifted the wrong way":
                shift = [P4M.index(g * h) for h in elements]
            if self.fault == "product from the wrong side":
                shift = [P4M.index(h * g.inverse) for h in elements]
            moved = g.inverse if self.fault == "kernel turned the wrong way" else g
            kernel = self.weight[:, :, shift]
            filters.append(kernel if self.fault == "kernel not turned" else moved.act(kernel))
        bank = torch.stack(filters, 1)
        if self.fault == "group outside channels":
            bank = bank.transpose(0, 1)
        bias = self.bias.repeat_interleave(8)
        if self.fault == "bias per orientation":
            bias = torch.randn(24)
        output = conv2d(features, bank.flatten(2, 3).flatten(0, 1), bias, self.stride, 1)
        return output.mT if self.fault == "transposed grid" else output


FAULTS = [
    "no group shift",
    "group shifted the wrong way",
    "product from the wrong side",
    "kernel turned the wrong way",
    "kernel not turned",
    "group outside channels",
    "bias per orientation",
    "transposed grid",
]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_noticed(fault: str) -> None:
    assert equivariance_error(Faulty(fault), P4M, P4M, 2, 9) > 1e-3


def test_the_layer_beside_the_faults_is_right() -> None:
    faultless = Faulty("")
    features = torch.randn(2, 16, 9, 9)
    expected = group_conv2d(features, faultless.weight, faultless.bias, P4M, P4M, padding=1)
    torch.testing.assert_close(faultless(features), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("stride", "size"), [(2, 8), (3, 9)])
def test_a_broken_grid_is_noticed(stride: int, size: int) -> None:
    layer = GroupConv(2, 3, 3, group=P4, stride=stride, padding=1)
    assert equivariance_error(layer, P4, P4, 2, size) > 1e-3


def test_the_transpose_alone_proves_nothing() -> None:
    layer = GroupConv(2, 3, 3, group=P4M, stride=2, padding=1)
    field, features = RegularField(P4M), torch.randn(1, 16, 8, 8)
    transpose = next(g for g in P4M.elements if torch.equal(g.act(features), features.mT))
    torch.testing.assert_close(layer(field.act(features, transpose)), field.act(layer(features), transpose))


def test_the_trivial_group_is_an_ordinary_convolution() -> None:
    layer = GroupConv(3, 5, 3, group=TRIVIAL, padding=1)
    features = torch.randn(2, 3, 8, 8)
    expected = conv2d(features, layer.weight.squeeze(2), layer.bias, padding=1)
    torch.testing.assert_close(layer(features), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("in_group", [TRIVIAL, P4M], ids=lambda group: group.name)
def test_starts_as_conv2d_does(in_group: Group) -> None:
    layer = GroupConv(6, 400, 3, group=P4M, in_group=in_group, groups=2)
    bound = (3 * len(in_group) * 9) ** -0.5
    assert layer.bias is not None
    for parameter in (layer.weight, layer.bias):
        assert bound * 0.97 < parameter.abs().max() <= bound
        assert parameter.std().item() == pytest.approx(bound / 3**0.5, rel=0.1)


def test_gradients_of_the_bank_are_those_of_plain_indexing() -> None:
    weight = torch.randn(2, 2, 4, 3, 3, requires_grad=True)
    assert torch.autograd.gradcheck(lambda w: filter_bank(w, P4, P4), (weight,))
    assert torch.autograd.gradgradcheck(lambda w: filter_bank(w, P4, P4).square(), (weight,))


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own
def test_forward_derivatives_of_the_bank() -> None:
    weight, tangent = torch.randn(2, 2, 2, 4, 3, 3).unbind()
    moved = torch.func.jvp(lambda w: filter_bank(w, P4, P4), (weight,), (tangent,))[1]
    torch.testing.assert_close(moved, filter_bank(tangent, P4, P4))


def test_the_bank_works_under_vmap() -> None:
    weights = torch.randn(3, 2, 2, 4, 3, 3)
    together = torch.func.vmap(lambda w: filter_bank(w, P4, P4))(weights)
    torch.testing.assert_close(together, torch.stack([filter_bank(w, P4, P4) for w in weights]))
    gradient = torch.func.vmap(torch.func.grad(lambda w: filter_bank(w, P4, P4).pow(3).sum()))(weights)
    torch.testing.assert_close(gradient, 12 * weights**2)


def test_bank_and_output_are_born_in_channels_last_memory() -> None:
    layer = GroupConv(3, 5, 3, group=P4, padding=1)
    assert filter_bank(layer.weight, P4, P4).is_contiguous(memory_format=torch.channels_last)
    for features in (torch.randn(2, 12, 8, 8), torch.randn(2, 12, 8, 8).contiguous(memory_format=torch.channels_last)):
        assert layer(features).is_contiguous(memory_format=torch.channels_last)


def test_the_state_holds_nothing_but_parameters() -> None:
    layer = GroupConv(2, 3, 3, group=P4)
    assert sorted(layer.state_dict()) == ["bias", "weight"]
    assert sum(parameter.numel() for parameter in layer.parameters()) == 3 * 2 * 4 * 9 + 3


def test_runs_under_bfloat16_autocast() -> None:
    layer = GroupConv(2, 3, 3, group=P4, padding=1).float()
    features = torch.randn(2, 8, 8, 8, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = layer(features)
    assert output.dtype == torch.bfloat16
    torch.testing.assert_close(output.float(), layer(features), rtol=0.05, atol=0.05)


def test_mistakes_are_named() -> None:
    with pytest.raises(UserError, match=r"out_channels \(=3\) must be divisible by groups \(=2\)"):
        GroupConv(2, 3, 3, group=P4, groups=2)
    with pytest.raises(UserError, match=r"kernel_size \(=0\) must be at least 1"):
        GroupConv(2, 3, 0, group=P4)
    with pytest.raises(UserError, match=r"padding \(=-1\) must be at least 0"):
        GroupConv(2, 3, 3, group=P4, padding=-1)
    with pytest.raises(UserError, match=r"in_group \(=p4m\) must be the output's group p4, or trivial to lift"):
        GroupConv(2, 3, 3, group=P4, in_group=P4M)
    with pytest.raises(UserError, match=r"has 2 channels, but the layer needs 8: 2 channels × 4 elements of p4"):
        GroupConv(2, 3, 3, group=P4)(torch.randn(1, 2, 8, 8))


def test_prints_its_arguments() -> None:
    text = repr(GroupConv(2, 3, 3, group=P4M, in_group=TRIVIAL, padding=1))
    assert text == (
        "GroupConv(2, 3, 3, group=p4m, in_group=trivial, stride=1, padding=1, dilation=1, groups=1, bias=True)"
    )


@pytest.mark.parametrize("size", [8, 9])
def test_a_strided_pointwise_convolution_is_pytorchs(size: int) -> None:
    layer = GroupConv(3, 4, 1, group=TRIVIAL, stride=2).double()
    images = torch.randn(2, 3, size, size, dtype=torch.float64)
    assert torch.allclose(layer(images), conv2d(images, layer.weight[:, :, 0], layer.bias, 2), atol=1e-12)


def test_a_strided_pointwise_convolution_of_eight_channels_survives_its_backward_pass() -> None:
    """Straight on oneDNN this writes beyond its memory; in a process of its own, which it would take with it."""
    code = (
        "import torch\nfrom gcnnbench.nn.convolution import GroupConv\nfrom gcnnbench.nn.groups import TRIVIAL\n"
        "layer = GroupConv(8, 14, 1, group=TRIVIAL, stride=2)\n"
        "for _ in range(5):\n"
        "    x = torch.randn(8, 8, 96, 96).contiguous(memory_format=torch.channels_last).requires_grad_()\n"
        "    layer(x).square().mean().backward()\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
