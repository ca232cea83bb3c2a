"""Tensors that share memory: which of them an operation writes into, and what still holds of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from gcnnbench.equivariance.certificate.axes import Dimensions, pixels, plain, size_of
from gcnnbench.equivariance.certificate.tracked import Tracked
from gcnnbench.nn.fields import ScalarField


def memory_of(tensor: Tensor) -> torch.UntypedStorage | None:
    """The memory of a tensor; None of one that has none that can be asked for: sparse, MKL-DNN's, or functorch's."""
    with torch._C.DisableTorchFunction(), suppress(NotImplementedError):
        return tensor.untyped_storage()
    return None


def written_by(func: Any, arguments: Mapping[str, Any]) -> list[Tensor]:
    """The tensors that an operation writes into, alone or in a list."""
    if not func._schema.is_mutable:
        return []
    written = (
        arguments[argument.name]
        for argument in func._schema.arguments
        if argument.alias_info is not None and argument.alias_info.is_write
    )
    return [leaf for leaf in tree_leaves(list(written)) if isinstance(leaf, Tensor)]


def layout(tensor: Tensor) -> tuple[Sequence[int], Sequence[int], int]:
    """Shape, strides and offset: tensors that share memory and these hold the same entries."""
    return tensor.shape, tensor.stride(), int(tensor.storage_offset())


def all_pixels(tensor: Tensor, state: Tracked, alias: Tensor, held: Tracked) -> bool:
    """Whether a tensor that shares memory with another holds all of its pixels, and all channels that are not alike."""
    if state.dimensions is None or held.dimensions is None:
        return False
    own, others = (
        sorted((factor.axis, factor.size) for dimension in dimensions for factor in dimension if factor.axis)
        for dimensions in (state.dimensions, held.dimensions)
    )
    return own == others and (tensor.numel() >= alias.numel() or state.field == held.field == ScalarField())


def inherited(dimensions: Dimensions | None, strides: Sequence[int], tensor: Tensor) -> Dimensions | None:
    """The dimensions of a tensor that shares memory with one of these and these strides.

    Returns:
        None where it holds other pixels than that one, or in another order.
    """
    if dimensions is None or len(dimensions) != tensor.ndim:
        return None
    found = []
    for dimension, old, size, new in zip(dimensions, strides, tensor.shape, tensor.stride(), strict=True):
        length = size_of(dimension)
        if pixels([dimension]) and (length != size or (old != new and size > 1)):
            return None
        found.append(dimension if length == size else plain(size))
    return tuple(found)
