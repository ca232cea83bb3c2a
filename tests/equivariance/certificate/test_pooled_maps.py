"""Windows off the centre prove nothing where the reduction that they are part of follows."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.equivariance.assertion import assert_equivariant
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.pooling import CosetPool
from tests.equivariance.audited import seeded
from tests.equivariance.certificate.pointwise import Something, audited, numbers, verdicts


def top(x: Tensor) -> Tensor:
    return x.square().amax((-2, -1))


def mean(x: Tensor) -> Tensor:
    return x.mean((-2, -1))


def transposed(x: Tensor) -> Tensor:
    weight = numbers(4, 1, 3, 3).to(x)
    return F.conv_transpose2d(x, weight, stride=2, output_padding=1, groups=4)


def apart(x: Tensor, kernel: int = 2, stride: int = 3, dilation: int = 1) -> Tensor:
    """Transposed by windows that do not meet."""
    weight = numbers(4, 1, kernel, kernel).to(x)
    return F.conv_transpose2d(x, weight, stride=stride, output_padding=1, groups=4, dilation=dilation).sigmoid()


def convolved(x: Tensor) -> Tensor:
    return F.conv2d(x, numbers(4, 4, 3, 3).to(x))


COVERED: dict[str, tuple[int, Something]] = {
    "maxima of three": (8, lambda x: top(F.max_pool2d(x.square(), 3, 2, 1))),
    "maxima of maxima": (8, lambda x: top(F.max_pool2d(F.max_pool2d(x.square(), 3, 2, 1), 3, 2, 1))),
    "maxima, the last of all": (8, lambda x: F.max_pool2d(F.max_pool2d(x.square(), 3, 2, 1), 4).flatten(1)),
    "maxima, adaptively": (8, lambda x: F.adaptive_max_pool2d(F.max_pool2d(x.square(), 3, 2, 1), 1).flatten(1)),
    "maxima, row by row": (8, lambda x: F.max_pool2d(x.square(), 3, 2, 1).amax(-1).amax(-1)),
    "maxima in ceil mode": (9, lambda x: top(F.max_pool2d(x.square(), 2, ceil_mode=True))),
    "maxima of repeated pixels": (8, lambda x: top(F.interpolate(x.square(), size=12))),
    "means of two rows": (8, lambda x: mean(F.avg_pool2d(x.relu(), (2, 1)))),
    "means of columns": (8, lambda x: mean(F.adaptive_avg_pool2d(x.relu(), (1, None)))),
    "means with zeros": (7, lambda x: mean(F.avg_pool2d(x.relu(), 2, 2, 1))),
    "windows as channels": (7, lambda x: F.unfold(x.relu(), 2, stride=2, padding=1).mean(-1).view(-1, 4, 4).mean(-1)),
    "a transposed convolution": (8, lambda x: mean(transposed(x))),
    "windows apart, the largest": (8, lambda x: apart(x).amax((-2, -1))),
    "windows apart, their spread": (8, lambda x: apart(x).std((-2, -1))),
    "windows apart, their exponentials": (8, lambda x: apart(x).logsumexp((-2, -1))),
    "windows apart, adaptively": (8, lambda x: F.adaptive_max_pool2d(apart(x), 1).flatten(1)),
    "windows apart, repeated": (8, lambda x: F.interpolate(apart(x), scale_factor=2).std((-2, -1))),
    "single pixels apart": (8, lambda x: apart(x, 1, stride=2).amax((-2, -1))),
    "a row of nothing behind": (8, lambda x: mean(apart(x, 1, stride=1, dilation=2))),
}


@pytest.mark.parametrize("name", COVERED)
def test_windows_that_cover_all_pixels_alike_are_unknown_and_measured_exact(name: str) -> None:
    size, something = COVERED[name]
    row = audited(something, size)
    assert (row.grid, row.certificate) == ("broken", "unknown")
    assert row.decision in ("exact", "unknown"), row.reason  # of some maxima digits of one brightness tell nothing
    assert "may not tell where the windows before it lie" in str(row.reason)


BROKEN: dict[str, tuple[int, Something]] = {
    "means of maxima": (9, lambda x: mean(F.max_pool2d(x, 2))),
    "maxima of means": (9, lambda x: top(F.avg_pool2d(x, 2, ceil_mode=True))),
    "means of maxima of two rows": (8, lambda x: mean(F.max_pool2d(x, (2, 1)))),
    "a convolution in between": (
        8,
        lambda x: mean(F.conv2d(F.avg_pool2d(x, 3, 2, 1), numbers(4, 4, 3, 3).to(x)).relu()),
    ),
    "the spread of windows that meet": (8, lambda x: transposed(x).std((-2, -1))),
}


@pytest.mark.parametrize("name", BROKEN)
def test_another_reduction_tells_where_windows_lie(name: str) -> None:
    size, something = BROKEN[name]
    assert verdicts(something, size) == ("approximate", "approximate")


def test_a_transposed_convolution_may_add_a_row_that_is_no_pixel() -> None:
    row = audited(lambda x: mean(apart(x, 1, stride=1, dilation=2) * torch.arange(1.0, 10.0).to(x)))
    assert (row.certificate, row.decision) == ("unknown", "approximate")


def test_an_exact_network_with_windows_off_the_centre_is_asserted() -> None:
    network = seeded(
        lambda: nn.Sequential(
            GroupConv(1, 4, 3, group=P4, in_group=TRIVIAL, padding=1),
            nn.ReLU(),
            GroupConv(4, 4, 3, group=P4, padding=1),
            nn.MaxPool2d(3, 2, 1),
            CosetPool(P4),
            nn.AdaptiveMaxPool2d(1),
            nn.Flatten(),
            nn.Linear(4, 3),
        )
    )
    assert_equivariant(network, "p4", sizes=[28], channels=1)


def test_no_size_is_advised_against_itself() -> None:
    class Masked(nn.Module):
        """Three by three of which a symmetric two by two is not zero: exact where its grid is not."""

        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("filters", F.pad(torch.full((1, 1, 2, 2), 0.25), (1, 0, 1, 0)))

        def forward(self, images: Tensor) -> Tensor:
            return F.conv2d(images, self.get_buffer("filters"), stride=2, padding=1).square().mean((-2, -1))

    with pytest.raises(AssertionError, match="one of them is wrong") as caught:
        assert_equivariant(Masked(), "p4", sizes=[12], channels=1)
    assert "instead of 12" not in str(caught.value)
