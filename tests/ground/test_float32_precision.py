"""float32 products are in full whichever of torch's interfaces was used before, and that is given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from gcnnbench.device import arithmetic
from gcnnbench.float32_precision import FULL, ON_CPU, ON_GPU, TF32, Float32Precision, float32_precision

BACKENDS: Any = torch.backends


def older_products() -> None:
    BACKENDS.cuda.matmul.allow_tf32 = True


def older_convolutions() -> None:
    BACKENDS.cudnn.allow_tf32 = False


def bfloat16_products() -> None:
    torch.set_float32_matmul_precision("medium")


def newer_products() -> None:
    BACKENDS.cuda.matmul.fp32_precision = "tf32"


def newer_convolutions() -> None:
    BACKENDS.cudnn.conv.fp32_precision = "ieee"


def all_backends() -> None:
    BACKENDS.fp32_precision = "tf32"


def all_backends_and_older_convolutions() -> None:
    BACKENDS.fp32_precision = "tf32"
    BACKENDS.cudnn.allow_tf32 = False


SET = (
    older_products,
    older_convolutions,
    bfloat16_products,
    newer_products,
    newer_convolutions,
    all_backends,
    all_backends_and_older_convolutions,
)


@pytest.fixture(autouse=True)
def _given_back() -> Iterator[None]:
    before, of_all = Float32Precision.now(), BACKENDS.fp32_precision
    yield
    BACKENDS.fp32_precision = of_all
    before.make()
    assert Float32Precision.now() == before


@pytest.mark.parametrize("set_before", SET)
@pytest.mark.parametrize(("mode", "on_gpu"), [("fp32", "ieee"), ("bf16", "ieee"), ("tf32", "tf32")])
def test_arithmetic_is_the_same_whatever_was_set_before(set_before: Callable[[], None], mode: Any, on_gpu: str) -> None:
    set_before()
    before = Float32Precision.now()
    with arithmetic(torch.device("cpu"), mode, 1):
        assert {one.fp32_precision for one in ON_GPU} == {on_gpu}
        assert {one.fp32_precision for one in ON_CPU} == {"ieee"}
        assert BACKENDS.cuda.matmul.allow_tf32 == BACKENDS.cudnn.allow_tf32 == (on_gpu == "tf32")
        assert torch.get_float32_matmul_precision() == ("high" if on_gpu == "tf32" else "highest")
    now = Float32Precision.now()
    assert (now.on_gpu, now.on_cpu) == (before.on_gpu, before.on_cpu)
    assert before.products in (None, now.products)
    assert before.convolutions in (None, now.convolutions)


def test_what_follows_all_backends_goes_on_following_them() -> None:
    all_backends()
    with float32_precision(FULL):
        pass
    assert BACKENDS.cuda.matmul.fp32_precision == "tf32"
    BACKENDS.fp32_precision = "ieee"
    assert BACKENDS.cuda.matmul.fp32_precision == "ieee"


def test_full_and_untouched_products_have_the_same_bits() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(8, 16, 32, 32, generator=generator)
    weights, matrix = torch.randn(32, 16, 3, 3, generator=generator), torch.randn(256, 512, generator=generator)
    untouched = torch.nn.functional.conv2d(images, weights), matrix @ matrix.T
    for precision in (FULL, TF32):
        with float32_precision(precision):
            assert torch.equal(torch.nn.functional.conv2d(images, weights), untouched[0])
            assert torch.equal(matrix @ matrix.T, untouched[1])
