"""The suite's functions that have a gradient or draws of their own, as operators: traced as one call, run by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn import functional as F

from gcnnbench.nn import blur, convolution, dropout, normalisation, projection

OURS: Mapping[str, Callable[..., Any]] = {
    "gcnnbench.gather": convolution.gather,
    "gcnnbench.group_batch_norm": normalisation.group_batch_norm,
    "gcnnbench.mirror": blur.mirror,
    "gcnnbench.dropout_mask": dropout.dropout_mask,
}
"""What runs them, by the names that they have in a graph."""


class GraphError(ValueError):
    """A network that cannot be a graph, or a graph that cannot be run, and why."""


def _define(name: str, schema: str, run: Callable[..., Any], fake: Callable[..., Any]) -> Any:
    torch.library.define(f"gcnnbench::{name}", schema)
    torch.library.impl(f"gcnnbench::{name}", "CompositeExplicitAutograd", run)
    torch.library.register_fake(f"gcnnbench::{name}", fake)
    return getattr(torch.ops.gcnnbench, name).default


def _fake_norm(features: Tensor, weight: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(features), torch.empty_like(weight), torch.empty_like(weight)


def _fake_gather(weight: Tensor, places: Tensor, _: Tensor) -> Tensor:
    return weight.new_empty(weight.shape[0], places.shape[0])


def _fake_mask(features: Tensor, _: float) -> Tensor:
    return torch.empty_like(features)


def _fake_mirror(features: Tensor, margin: int) -> Tensor:
    return F.pad(features, (margin,) * 4, mode="reflect")


@contextmanager
def as_operators() -> Iterator[None]:
    """The suite's functions with gradients or draws of their own as operators of the trace; those of others refused."""
    if not hasattr(torch.ops.gcnnbench, "gather"):
        norm = "(Tensor features, Tensor weight, Tensor bias, int order, float eps) -> (Tensor, Tensor, Tensor)"
        _define("group_batch_norm", norm, normalisation.group_batch_norm, _fake_norm)
        _define("gather", "(Tensor weight, Tensor places, Tensor sources) -> Tensor", convolution.gather, _fake_gather)
        _define("mirror", "(Tensor features, int margin) -> Tensor", blur.mirror, _fake_mirror)
        _define("dropout_mask", "(Tensor features, float p) -> Tensor", dropout.dropout_mask, _fake_mask)

    def refused(*_: Any, **__: Any) -> Any:
        raise GraphError("it has a gradient of its own (torch.autograd.Function), or hooks on tensors")

    def masked(features: Tensor, p: float, generator: torch.Generator | None = None) -> Tensor:
        if generator is not None:
            raise GraphError("it draws from a generator of its own")
        mask: Tensor = torch.ops.gcnnbench.dropout_mask.default(features, p)
        return mask

    with ExitStack() as stack:
        for owner, name, other in (
            (normalisation, "group_batch_norm", torch.ops.gcnnbench.group_batch_norm.default),
            (convolution, "gather", torch.ops.gcnnbench.gather.default),
            (projection, "gather", torch.ops.gcnnbench.gather.default),
            (blur, "mirror", torch.ops.gcnnbench.mirror.default),
            (dropout, "dropout_mask", masked),
            (torch.autograd.Function, "apply", refused),
            (torch.Tensor, "register_hook", refused),
        ):
            stack.enter_context(patch.object(owner, name, other))
        yield
