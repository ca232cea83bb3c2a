"""The arithmetic in which a network is measured: its numbers, and how they are multiplied."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

ONEDNN: Any = torch.backends.mkldnn
"""Its settings are properties that type checkers do not see."""


@torch.no_grad()
def as_dtype(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy on the CPU, in this arithmetic and in evaluation mode, which some layers prepare when they enter it.

    Complex numbers stay complex; `Module.to` would drop their imaginary parts. What `train` and the like return is not
    used, for a network's own may return nothing.

    Raises:
        ValueError: it cannot be copied.
    """

    def converted(tensor: Tensor) -> Tensor:
        if tensor.is_complex():
            return tensor.to(dtype.to_complex())
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    copied = copy_of(network)
    copied.cpu()
    copied._apply(converted)
    copied.train()
    copied.eval()
    return copied


def copy_of(network: nn.Module) -> nn.Module:
    """A copy that shares nothing with it.

    Raises:
        ValueError: it holds something that cannot be copied, as what a pass with gradients left in it.
    """
    try:
        return copy.deepcopy(network)
    except Exception as error:  # whatever what it holds raises
        raise ValueError(
            f"{type(network).__name__} cannot be copied ({error}): give a function that makes a new one, which holds "
            "nothing of an earlier pass"
        ) from error


@contextmanager
def full_precision() -> Iterator[None]:
    """Multiply float32 numbers on the CPU in full, as the bound supposes, whatever precision the process has set.

    Newer versions of torch have a setting for each operation; where these differ, the older switch cannot be read.
    """
    operations = [getattr(ONEDNN, name) for name in ("matmul", "conv", "rnn") if hasattr(ONEDNN, name)]
    if not operations:
        older = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("highest")
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(older)
        return
    before = [operation.fp32_precision for operation in operations]
    try:
        for operation in operations:
            operation.fp32_precision = "ieee"
        yield
    finally:
        for operation, precision in zip(operations, before, strict=True):
            operation.fp32_precision = "none"  # it follows what is set for all again
            if operation.fp32_precision != precision:
                operation.fp32_precision = precision
