"""The grid rule against the operations themselves, by enumeration in float64."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import product

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.equivariance.certificate.grid import AxisSampling, by_rule
from gcnnbench.equivariance.certificate.verdict import certify
from gcnnbench.nn.groups import P2, P4, P4M, PM, Element, Group

Case = tuple[AxisSampling, bool]


NOISE = torch.rand(32, 1, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def tried(op: Callable[[Tensor], Tensor], size: int) -> tuple[int, bool]:
    """The output's length, and whether the operation on (batch, 1, size) commutes with reversal, tried on noise."""
    noise = NOISE[..., :size]
    output, mirrored = op(torch.cat([noise, noise.flip(-1)])).chunk(2)
    return output.shape[-1], bool((output - mirrored.flip(-1)).abs().max() < 1e-12)


@cache
def filters(kernel: int) -> Tensor:
    """A filter (1, 1, kernel) that is its own mirror image and has no zero."""
    half = torch.rand(1, 1, kernel, generator=torch.Generator().manual_seed(kernel), dtype=torch.float64) + 0.5
    return half + half.flip(-1)


def convolutions() -> Iterator[Case]:
    for size, kernel, stride, dilation, lead, trail in product(
        range(7, 13), (1, 2, 3, 4), (1, 2, 3), (1, 2), (0, 1, 2), (0, 1, 2)
    ):
        if dilation * (kernel - 1) >= size:
            continue

        def op(x: Tensor, k: int = kernel, s: int = stride, d: int = dilation, p: int = lead, q: int = trail) -> Tensor:
            return F.conv1d(F.pad(x, (p, q)), filters(k), stride=s, dilation=d)

        output, symmetric = tried(op, size)
        yield AxisSampling(size, output, kernel, stride, dilation, lead), symmetric


def pools() -> Iterator[Case]:
    for size, kernel, stride, padding, ceil in product(range(7, 13), (2, 3, 4), (1, 2, 3), (0, 1), (False, True)):

        def op(x: Tensor, k: int = kernel, s: int = stride, p: int = padding, c: bool = ceil) -> Tensor:
            return F.max_pool1d(x, k, s, p, ceil_mode=c)

        output, symmetric = tried(op, size)
        yield AxisSampling(size, output, kernel, stride, 1, padding), symmetric


def transposed() -> Iterator[Case]:
    for size, kernel, stride, padding, more in product(range(4, 8), (2, 3, 4), (2, 3), (0, 1), (0, 1)):

        def op(x: Tensor, k: int = kernel, s: int = stride, p: int = padding, m: int = more) -> Tensor:
            return F.conv_transpose1d(x, filters(k), stride=s, padding=p, output_padding=m)

        output, symmetric = tried(op, size)
        yield AxisSampling(size, output, kernel, stride, 1, padding, transposed=True), symmetric


@pytest.mark.parametrize(("cases", "least"), [(convolutions, 1000), (pools, 100), (transposed, 80)])
def test_the_rule_says_what_the_operation_does(cases: Callable[[], Iterator[Case]], least: int) -> None:
    found = list(cases())
    assert len(found) >= least
    assert {symmetric for _, symmetric in found} == {True, False}
    for sampling, symmetric in found:
        assert sampling.symmetric == symmetric, sampling


def test_a_rule_without_the_dilation_would_be_noticed() -> None:
    wrong = [case for case, symmetric in convolutions() if (case.overhang + case.kernel - 1 == 0) != symmetric]
    assert wrong


SYMMETRIC, OFF = AxisSampling(9, 5, 3, 2, 1, 1), AxisSampling(8, 4, 3, 2, 1, 1)


@pytest.mark.parametrize(
    ("rows", "columns", "group", "broken"),
    [
        (SYMMETRIC, SYMMETRIC, P4M, False),
        (OFF, OFF, P4, True),
        (OFF, OFF, P2, True),
        (OFF, SYMMETRIC, PM, False),
        (SYMMETRIC, OFF, PM, True),
        (SYMMETRIC, AxisSampling(11, 6, 3, 2, 1, 1), P2, False),
        (SYMMETRIC, AxisSampling(11, 6, 3, 2, 1, 1), P4, True),
        (AxisSampling(9, 9), AxisSampling(9, 9, 3, 1, 1, 1), P4, None),
        (AxisSampling(9, 9), AxisSampling(9, 9, 3, 1, 1, 1), P4M, None),
        (AxisSampling(9, 9), AxisSampling(9, 9, 3, 1, 1, 1), P2, False),
    ],
)
def test_which_groups_a_sampling_breaks(
    rows: AxisSampling, columns: AxisSampling, group: Group, broken: bool | None
) -> None:
    assert by_rule("layer", "convolution", rows, columns).breaks(group.elements) is broken


def test_the_transpose_survives_a_broken_grid() -> None:
    transpose, antitranspose = Element(1, 1), Element(1, 3)
    sampling = by_rule("layer", "convolution", OFF, OFF)
    assert sampling.breaks([transpose]) is False
    assert sampling.breaks([antitranspose]) is True
    image = torch.rand(1, 1, 8, 8, dtype=torch.float64)
    filters_ = filters(3).mT @ filters(3)

    def op(x: Tensor) -> Tensor:
        return F.conv2d(x, filters_[None], stride=2, padding=1)

    assert torch.allclose(op(transpose.act(image)), transpose.act(op(image)), rtol=0, atol=1e-12)
    assert not torch.allclose(op(antitranspose.act(image)), antitranspose.act(op(image)), rtol=0, atol=1e-3)


class OneOperation(nn.Module):
    """An operation and the mean over all pixels of its square."""

    def __init__(self, op: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.op = op

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.op(images).square().mean((-2, -1))
        return result


def padded_conv(images: Tensor, *, weight: Tensor, stride: int, lead: int, trail: int) -> Tensor:
    return F.conv2d(F.pad(images, (lead, trail, lead, trail)), weight, stride=stride)


def sliced(images: Tensor, *, start: int, stop: int | None, step: int) -> Tensor:
    return images[..., start:stop:step, start:stop:step]


def padded_pool(images: Tensor, *, mode: str, numbers: tuple[int, ...]) -> Tensor:
    return F.max_pool2d(F.pad(images, numbers, mode=mode), 2)


def operations() -> Iterator[tuple[str, Callable[[Tensor], Tensor]]]:
    noise = torch.rand(1, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for kernel in (1, 2, 3, 4):
        weight = torch.stack([g.act(noise[..., :kernel, :kernel]) for g in P4M.elements]).mean(0)
        # a kernel of one pixel with padding reads a border of zeros, which the mean cannot tell from the other border
        for stride, lead, trail in product((1, 2, 3), (0, 1)[:kernel], (0, 1)[:kernel]):
            op = partial(padded_conv, weight=weight, stride=stride, lead=lead, trail=trail)
            yield f"conv {kernel} {stride} {lead} {trail}", op
    for start, step, stop in product(range(3), (1, 2, 3), (None, -1)):
        yield f"slice {start} {stop} {step}", partial(sliced, start=start, stop=stop, step=step)
    for size in (3, 4, 5, 16):
        yield f"adaptive {size}", partial(F.adaptive_avg_pool2d, output_size=size)
        for mode in ("nearest", "bilinear", "bicubic", "nearest-exact"):
            yield f"{mode} {size}", partial(F.interpolate, size=size, mode=mode)
    for factor in (0.4, 0.5, 0.7, 1.5, 2.0):
        yield f"scaled {factor}", partial(F.interpolate, scale_factor=factor, mode="bilinear")
    for mode, numbers in product(("reflect", "replicate"), ((1, 1, 1, 1), (2, 1, 2, 1), (0, 1, 0, 1))):
        yield f"{mode} {numbers}", partial(padded_pool, mode=mode, numbers=numbers)


@pytest.mark.parametrize("size", [11, 12])
def test_the_traced_grid_is_broken_exactly_where_the_operation_is(size: int) -> None:
    images = torch.rand(2, 1, size, size, generator=torch.Generator().manual_seed(size), dtype=torch.float64)
    verdicts = []
    for name, op in operations():
        network = OneOperation(op)
        grid = certify(network, images, P4.elements).grid
        error = max(float((network(g.act(images)) - network(images)).abs().max()) for g in P4.elements)
        assert grid == ("symmetric" if error < 1e-12 else "broken"), (name, error)
        verdicts.append(grid)
    assert verdicts.count("symmetric") > 20
    assert verdicts.count("broken") > 20
