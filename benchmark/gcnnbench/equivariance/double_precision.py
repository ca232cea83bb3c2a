"""Double precision throughout one forward pass, whatever precision the network's own code asks for.

Many networks compute a part of themselves in a fixed precision: a softmax after `.float()`, a buffer of zeros in
float32, a constant that is no buffer. Such rounding says nothing about the architecture; while an equivariance error is
measured it would look like a broken symmetry that does not fall with precision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from gcnnbench.equivariance.certificate.modes import OperationMode

WIDER = {
    torch.bfloat16: torch.float64,
    torch.float16: torch.float64,
    torch.float32: torch.float64,
    torch.complex32: torch.complex128,
    torch.complex64: torch.complex128,
}
"""The double precision in the place of each narrower one."""
WIDE = frozenset(WIDER.values())


class _DoublePrecision(OperationMode):
    """Gives every operation double precision: the `dtype` it is asked for, and its inputs where one is wide already."""

    def operation(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run it in double precision."""
        if kwargs.get("dtype") in WIDER:
            kwargs = {**kwargs, "dtype": WIDER[kwargs["dtype"]]}
        found = {one.dtype for one in _tensors(args)}
        mixed = not found.isdisjoint(WIDER) and not found.isdisjoint(WIDE)
        if mixed and not func._schema.is_mutable:  # what is written into keeps its precision
            args = tree_map(_widened, args)
        return func(*args, **kwargs)


@contextmanager
def double_precision() -> Iterator[None]:
    """Let operations, new tensors and constants be in double precision as long as this lasts.

    Casts to whole numbers and views of other types stay as they are.
    """
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _DoublePrecision():
            yield
    finally:
        torch.set_default_dtype(before)


def _tensors(args: Iterable[Any]) -> Iterator[Tensor]:
    """The tensors among the arguments of an operation, alone or in a list."""
    for arg in args:
        if isinstance(arg, Tensor):
            yield arg
        elif isinstance(arg, list | tuple):
            yield from (one for one in arg if isinstance(one, Tensor))


def _widened(leaf: Any) -> Any:
    return leaf.to(WIDER[leaf.dtype]) if isinstance(leaf, Tensor) and leaf.dtype in WIDER else leaf
