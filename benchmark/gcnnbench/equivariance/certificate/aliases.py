"""Tensors that share memory: which of them an operation writes into, and what still holds of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from gcnnbench.equivariance.certificate.axes import Dimensions, pixels, plain
from gcnnbench.equivariance.certificate.tracked import Tracked
from gcnnbench.nn.fields import ScalarField


def written_by(func: Any, arguments: Mapping[str, Any]) -> list[Tensor]:
    """The tensors that an operation writes into."""
    if not func._schema.is_mutable:
        return []
    written = (
        arguments[argument.name]
        for argument in func._schema.arguments
        if argument.alias_info is not None and argument.alias_info.is_write
    )
    return [value for value in written if isinstance(value, Tensor)]


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


def inherited(dimensions: Dimensions | None, shape: Sequence[int]) -> Dimensions | None:
    """The dimensions of a tensor that shares memory with one of these, where both hold the same pixels."""
    if dimensions is None or len(dimensions) != len(shape):
        return None
    found = []
    for dimension, size in zip(dimensions, shape, strict=True):
        length = 1
        for factor in dimension:
            length *= factor.size
        if length != size and pixels([dimension]):
            return None
        found.append(dimension if length == size else plain(size))
    return tuple(found)
