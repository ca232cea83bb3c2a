"""How exactly torch multiplies float32 numbers: in full, or shortened to TF32 on GPUs and to bfloat16 on CPUs.

torch has two interfaces for it. The older switches (`set_float32_matmul_precision`, `allow_tf32`) raise when they are
read after the newer ones (`fp32_precision`) have set something else, and cuDNN's older switch, turned off, leaves
convolutions with what is set for all backends (https://github.com/pytorch/pytorch/issues/179445). So all that is
decided here is read from the newer ones, and both are written, for others read both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

import torch
from torch.backends import cuda, cudnn, mkldnn

CUDA: Any = cuda
"""PyTorch's modules, whose settings are properties that type checkers do not see."""
CUDNN: Any = cudnn
MKLDNN: Any = mkldnn
ON_GPU = (CUDA.matmul, CUDNN.conv, CUDNN.rnn)
ON_CPU = (MKLDNN.matmul, MKLDNN.conv, MKLDNN.rnn)

Switch = TypeVar("Switch")


class Float32Precision(NamedTuple):
    """The precision of each operation: `ieee`, `tf32`, `bf16`, or `none` where nothing is set; and the older switches.

    A switch is None where torch refuses to read it, because the newer interface has set something else.
    """

    on_gpu: tuple[str, ...]
    on_cpu: tuple[str, ...]
    products: str | None
    convolutions: bool | None

    @classmethod
    def now(cls) -> Float32Precision:
        """That which holds."""
        return cls(
            tuple(one.fp32_precision for one in ON_GPU),
            tuple(one.fp32_precision for one in ON_CPU),
            _unless_mixed(torch.get_float32_matmul_precision),
            _unless_mixed(lambda: CUDNN.allow_tf32),
        )

    def make(self) -> None:
        """Let it hold; the older switches first, for they set the newer ones, too."""
        if self.products is not None:
            torch.set_float32_matmul_precision(self.products)
        if self.convolutions is not None:
            CUDNN.allow_tf32 = self.convolutions
        for operation, precision in zip(ON_GPU + ON_CPU, self.on_gpu + self.on_cpu, strict=True):
            operation.fp32_precision = "none"  # what is set for all backends; it goes on following that if it is right
            if operation.fp32_precision != precision:
                operation.fp32_precision = precision


FULL = Float32Precision(("ieee",) * len(ON_GPU), ("ieee",) * len(ON_CPU), "highest", convolutions=False)
TF32 = FULL._replace(on_gpu=("tf32",) * len(ON_GPU), products="high", convolutions=True)
"""On GPUs; on CPUs in full."""


@contextmanager
def float32_precision(precision: Float32Precision) -> Iterator[None]:
    """Let this precision hold, and restore what did before."""
    before = Float32Precision.now()
    try:
        precision.make()
        yield
    finally:
        before.make()


def _unless_mixed(read: Callable[[], Switch]) -> Switch | None:
    try:
        return read()
    except RuntimeError:
        return None
