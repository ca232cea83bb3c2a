"""Names of the tensors that the host and the contained process exchange: what stands before a network's own names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")

WEIGHTS = "weights."
"""Before the names of trained weights."""
NETWORK = "network."
"""Before the names of an exported network's tensors."""


def prefixed(prefix: str, tensors: Mapping[str, Value]) -> dict[str, Value]:
    """All of them, the prefix before their names."""
    return {prefix + name: value for name, value in tensors.items()}


def chosen(prefix: str, tensors: Mapping[str, Value]) -> dict[str, Value]:
    """Those with this prefix, without it."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
