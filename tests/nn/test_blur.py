"""Blur-pooling against its definition, where it is equivariant, and faults that the same check must catch."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, pad

from gcnnbench.architectures.sequence import classifier, conv_block
from gcnnbench.equivariance.certificate.verdict import certify
from gcnnbench.equivariance.random_weights import draw_weights
from gcnnbench.errors import UserError
from gcnnbench.nn.blur import BlurPool, binomial_kernel, blur_pool2d
from gcnnbench.nn.fields import feature_field
from gcnnbench.nn.groups import GROUPS, P4, P4M, TRIVIAL, Group


def by_definition(features: Tensor, kernel: Tensor, stride: int) -> Tensor:
    """`y[c](x) = Σ_u b(u) f[c](stride·x + u)`, pixel by pixel; beyond the border f is mirrored at its pixels."""
    size, taps = features.shape[-1], kernel.shape[0]
    margin = (taps - 1) // 2

    def mirrored(place: int) -> int:
        place = abs(place)
        return place if place < size else 2 * (size - 1) - place

    starts = range(-margin, size + margin - taps + 1, stride)
    result = torch.zeros(*features.shape[:2], len(starts), len(starts))
    for (y, top), (x, left) in product(enumerate(starts), repeat=2):
        for a, b in product(range(taps), repeat=2):
            result[:, :, y, x] += kernel[a, b] * features[:, :, mirrored(top + a), mirrored(left + b)]
    return result


@pytest.mark.parametrize(("kernel_size", "stride", "size"), [(3, 2, 7), (3, 2, 8), (4, 2, 8), (5, 2, 9), (5, 3, 8)])
def test_equals_the_definition(kernel_size: int, stride: int, size: int) -> None:
    layer, features = BlurPool(P4, kernel_size, stride).double(), torch.randn(2, 8, size, size)
    expected = by_definition(features, binomial_kernel(kernel_size).double(), stride)
    torch.testing.assert_close(layer(features), expected, rtol=0, atol=1e-12)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")  # torch's own
@pytest.mark.parametrize(("kernel_size", "size"), [(2, 4), (3, 2), (5, 3), (5, 9)])
def test_gradients_are_those_of_the_function(kernel_size: int, size: int) -> None:
    kernel, features = binomial_kernel(kernel_size).double(), torch.randn(2, 3, size, size + 1, requires_grad=True)

    def blurred(features: Tensor) -> Tensor:
        return blur_pool2d(features, kernel)

    assert torch.autograd.gradcheck(blurred, features, check_forward_ad=True, check_batched_grad=True)


def test_the_filter_is_binomial_and_symmetric() -> None:
    assert torch.equal(binomial_kernel(3) * 16, torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]))
    assert torch.equal(binomial_kernel(4)[0] * 64, torch.tensor([1.0, 3, 3, 1]))
    for kernel_size in range(1, 8):
        kernel = binomial_kernel(kernel_size)
        assert kernel.sum() == 1
        assert all(torch.equal(g.act(kernel), kernel) for g in P4M.elements)


@torch.no_grad()
def equivariance_error(layer: nn.Module, group: Group, size: int) -> float:
    """The largest |g f(x) − f(g x)| over the group, relative to the spread of f(x)."""
    field, features = feature_field(group), torch.randn(2, 2 * len(group), size, size)
    output = layer(features)
    errors = [(field.act(output, g) - layer(field.act(features, g))).abs().max() for g in group.elements]
    return float(torch.stack(errors).max() / output.std())


@pytest.mark.parametrize(("kernel_size", "size"), list(product((2, 3, 4, 5), (8, 9, 10, 11))))
def test_odd_filters_are_exact_on_odd_and_even_ones_on_even_sizes(kernel_size: int, size: int) -> None:
    error = equivariance_error(BlurPool(P4M, kernel_size), P4M, size)
    assert error < 1e-12 if kernel_size % 2 == size % 2 else error > 1e-3


@pytest.mark.parametrize("size", [8, 9])
def test_behind_a_dense_maximum_it_is_exact_where_the_plain_max_pool_is(size: int) -> None:
    pool = nn.Sequential(nn.MaxPool2d(2, stride=1), BlurPool(P4))
    plain = nn.MaxPool2d(2)
    for layer in (pool, plain):
        error = equivariance_error(layer, P4, size)
        assert error < 1e-12 if size % 2 == 0 else error > 1e-3
    assert pool(torch.randn(1, 4, size, size)).shape[-1] == size // 2


class Faulty(nn.Module):
    """A blur-pool of five pixels with a planted fault."""

    def __init__(self, fault: str) -> None:
        super().__init__()
        self.fault = fault

    def forward(self, features: Tensor) -> Tensor:
        channels, kernel = features.shape[1], binomial_kernel(5).double()
        if self.fault == "filter not symmetric":
            kernel = kernel + torch.linspace(0, 0.1, 25).view(5, 5)
        kernels = kernel.expand(channels, 1, 5, 5)
        if self.fault == "filter of its own for each orientation":
            kernels = kernels * torch.linspace(1, 2, channels)[:, None, None, None]
        margins = (2, 1, 2, 1) if self.fault == "mirrored on one side more" else (2, 2, 2, 2)
        return conv2d(pad(features, margins, mode="reflect"), kernels, stride=2, groups=channels)


@pytest.mark.parametrize(
    "fault", ["filter not symmetric", "filter of its own for each orientation", "mirrored on one side more"]
)
def test_a_planted_fault_is_noticed(fault: str) -> None:
    assert equivariance_error(Faulty(fault), P4, 9) > 1e-3
    assert equivariance_error(Faulty(""), P4, 9) < 1e-12


def network(kernel_size: int = 3) -> nn.Module:
    layers = [*conv_block(1, 1, 2, group=P4, in_group=TRIVIAL).values(), BlurPool(P4, kernel_size)]
    return nn.Sequential(*layers, *classifier(2, 3, group=P4).values())


@pytest.mark.parametrize(("kernel_size", "size", "verdict"), [(3, 9, "exact"), (3, 8, "approximate"), (4, 8, "exact")])
def test_the_certificate_knows_it(kernel_size: int, size: int, verdict: str) -> None:
    certificate = certify(network(kernel_size).eval(), torch.rand(2, 1, size, size), P4.elements)
    assert certificate.verdict == verdict
    broken = str(certificate.first_break) if certificate.first_break else "none"
    assert broken.startswith("3: ") == (verdict == "approximate")


def test_neither_an_audit_nor_a_state_touches_the_filter() -> None:
    blurred = network()
    drawn = draw_weights(blurred, torch.float64)
    kernels = [value for name, value in drawn.items() if name.endswith("kernel")]
    assert [value.tolist() for value in kernels] == [binomial_kernel(3).tolist()]
    assert not any(name.endswith("kernel") for name in blurred.state_dict())
    assert not list(BlurPool(P4).parameters())


@pytest.mark.parametrize("group", list(GROUPS.values()), ids=lambda group: group.name)
def test_keeps_the_memory_layout_and_the_precision(group: Group) -> None:
    features = torch.randn(2, len(group), 9, 9).contiguous(memory_format=torch.channels_last)
    assert BlurPool(group)(features).is_contiguous(memory_format=torch.channels_last)
    assert BlurPool(group)(features.float()).dtype == torch.float32
    constant = torch.full((1, len(group), 7, 7), 3.0)
    torch.testing.assert_close(BlurPool(group)(constant), torch.full((1, len(group), 4, 4), 3.0))


def test_mistakes_are_named_and_arguments_printed() -> None:
    with pytest.raises(UserError, match=r"kernel_size \(=0\) must be at least 1"):
        BlurPool(P4, 0)
    with pytest.raises(UserError, match="features of 1 pixels cannot be mirrored by 1"):
        BlurPool(P4)(torch.randn(1, 4, 1, 1))
    assert repr(BlurPool(P4)) == "BlurPool(group=p4, kernel_size=3, stride=2)"
