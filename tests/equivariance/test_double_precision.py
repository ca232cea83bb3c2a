"""Networks whose code asks for single or half precision are judged by what they compute, not by its rounding."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.double_precision import double_precision
from gcnnbench.nn.groups import P4


class Casting(nn.Module):
    """A 1×1 convolution, a nonlinearity that computes in a precision of its own, and the mean over pixels."""

    def __init__(self, between: Callable[[Tensor], Tensor], stride: int = 1) -> None:
        super().__init__()
        self.lift, self.head, self.between = nn.Conv2d(1, 6, 1, stride), nn.Linear(6, 4), between

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.between(self.lift(images).square()).mean((2, 3)))  # type: ignore[no-any-return]


def written_into_zeros(features: Tensor) -> Tensor:
    out = torch.zeros(features.shape, dtype=torch.float32)
    out[:, ::2] = features[:, ::2].float()
    return out.type_as(features)


def by_default_type(features: Tensor) -> Tensor:
    out = torch.empty(features.shape)
    out.copy_(features.sigmoid())
    return out.to(features.dtype)


CONSTANT = torch.linspace(0.1, 1, 36).reshape(6, 6, 1, 1)
CASTS: dict[str, Callable[[Tensor], Tensor]] = {
    "softmax in float32": lambda f: F.softmax(f, dim=1, dtype=torch.float32).to(f.dtype),
    "norm in float32": lambda f: F.group_norm(f.float(), 2).type_as(f),
    "sum with a dtype": lambda f: f * f.sum((2, 3), keepdim=True, dtype=torch.float32).to(f.dtype),
    "half precision": lambda f: (f.half().sum((2, 3), keepdim=True) + f).to(f.dtype),
    "bfloat16 by name": lambda f: f + f.to(torch.bfloat16).mean((2, 3), keepdim=True).to(f.dtype),
    "written into zeros": written_into_zeros,
    "written into a new tensor": by_default_type,
    "a constant that is no buffer": lambda f: F.conv2d(f.float(), CONSTANT).to(f.dtype),
    "a spectrum in single precision": lambda f: (
        torch.fft.fft2(f.float()).abs().amax((2, 3), keepdim=True).to(f.dtype) + f
    ),
}


def rows(between: Callable[[Tensor], Tensor], stride: int = 1) -> list[tuple[str, bool]]:
    """The decision at 12 and 13 pixels, and whether the certificate contradicts it."""

    def make() -> nn.Module:
        torch.manual_seed(0)
        return Casting(between, stride)

    return [(row.decision, row.disagreement) for row in audit(make, [12, 13], P4, channels=1).sizes]


@pytest.mark.parametrize("name", CASTS)
def test_rounding_that_the_code_asks_for_is_no_broken_symmetry(name: str) -> None:
    assert rows(CASTS[name]) == [("exact", False), ("exact", False)]


@pytest.mark.parametrize("name", CASTS)
def test_nor_does_it_hide_a_broken_one(name: str) -> None:
    assert rows(CASTS[name], stride=2) == [("approximate", False), ("exact", False)]


def test_whole_numbers_and_views_of_bits_stay_and_the_default_comes_back() -> None:
    before = torch.get_default_dtype()
    with double_precision():
        images = torch.rand(3, 4)
        assert images.dtype == images.half().dtype == torch.float64
        assert (images * 9).long().dtype == torch.int64
        assert images.view(torch.int64).dtype == torch.int64
        assert (images > 0.5).dtype == torch.bool
    assert torch.get_default_dtype() == before
    assert images.float().dtype == torch.float32
