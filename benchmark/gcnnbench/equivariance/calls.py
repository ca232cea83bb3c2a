"""The calls of a network's layers, in order: inputs and outputs, where these have pixels, and how they transform.

A layer here is a module without children, or one whose output moves in a known way (`field`) and that holds no other
such module. A layer that is called several times has several calls.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from gcnnbench.equivariance.certificate.axes import Dimensions
from gcnnbench.equivariance.certificate.lattice import Lattices
from gcnnbench.equivariance.certificate.tracing import Tracer
from gcnnbench.equivariance.certificate.verdict import image_tracer
from gcnnbench.equivariance.depths import known_layers
from gcnnbench.equivariance.motions import Motion, Stencil, generator
from gcnnbench.equivariance.precision import dtype_of, evaluating
from gcnnbench.errors import UserError
from gcnnbench.nn.fields import Field, Invariant, ScalarField

Call = tuple[str, int]
"""A layer's name, and which of its calls."""


@dataclass(frozen=True)
class Place:
    """Where a tensor that comes from the image has its pixels.

    Args:
        shape: of the tensor.
        dimensions: which of its dimensions run over rows and columns; None where that is lost.
        lattices: where these lie over the image.
        field: how it transforms, where that is known.
    """

    shape: tuple[int, ...]
    dimensions: Dimensions | None
    lattices: Lattices
    field: Field | None


@dataclass(frozen=True)
class Places:
    """Those of a call: of each of its arguments, nested ones too, and of its output; None of what is no image's."""

    arguments: tuple[Place | None, ...]
    output: Place | None


def layer_names(network: nn.Module) -> tuple[str, ...]:
    """Every layer, in the order in which the network holds them."""
    known = set(known_layers(network))

    def below(module: nn.Module, name: str) -> Iterator[str]:
        holds = any(one.startswith(f"{name}.") for one in known)
        children = list(module.named_children())
        if name and (not children or (name in known and not holds)):
            yield name
            return
        for child_name, child in children:
            yield from below(child, f"{name}.{child_name}" if name else child_name)

    return tuple(below(network, ""))


@contextmanager
def called(
    network: nn.Module,
    names: Sequence[str],
    before: Callable[[Call, Any], None],
    after: Callable[[Call, nn.Module, Any], Any],
) -> Iterator[None]:
    """Show these layers' calls: their (args, kwargs) before, and their output after, which may be replaced."""
    runs: Counter[str] = Counter()
    modules = dict(network.named_modules())

    def enter(name: str, module: nn.Module, args: Any, kwargs: Any) -> None:  # noqa: ARG001
        runs[name] += 1
        before((name, runs[name]), (args, kwargs))

    def leave(name: str, module: nn.Module, args: Any, output: Any) -> Any:  # noqa: ARG001
        return after((name, runs[name]), module, output)

    with ExitStack() as hooks:
        for name in names:
            hooks.enter_context(modules[name].register_forward_pre_hook(partial(enter, name), with_kwargs=True))
            hooks.enter_context(modules[name].register_forward_hook(partial(leave, name)))
        yield


def places_of(network: nn.Module, images: Tensor, names: Sequence[str]) -> dict[Call, Places]:
    """Where the arguments and outputs of these layers have their pixels, call by call.

    Args:
        network: runs in evaluation mode in its own arithmetic and is left as it was.
        images: (batch, channels, height, width); only their shape matters.
        names: of layers.
    """
    found: dict[Call, Places] = {}
    arguments: dict[Call, tuple[Place | None, ...]] = {}
    shown = images.to(dtype_of(network, images), copy=True)
    with evaluating(network), image_tracer(network, shown) as tracer:

        def before(call: Call, given: Any) -> None:
            arguments[call] = tuple(_place(tracer, leaf) for leaf in tree_leaves(given))

        def after(call: Call, module: nn.Module, output: Any) -> None:
            state, said = tracer.state(output) if isinstance(output, Tensor) else None, getattr(module, "field", None)
            if state is not None and isinstance(said, Field):  # whoever marked a layer of his own vouches for it
                tracer.set(output, replace(state, field=said))
            found[call] = Places(arguments[call], _place(tracer, output))

        with called(network, names, before, after):
            network(shown)
    return found


def _place(tracer: Tracer, value: Any) -> Place | None:
    state = tracer.state(value) if isinstance(value, Tensor) else None
    if state is None:
        return None
    return Place(tuple(value.shape), state.dimensions, state.framed_lattices(), state.field)


def moved_at(features: Tensor, place: Place | None, motion: Motion, stencil: Stencil, *, as_scalar: bool) -> Tensor:
    """X of a tensor whose rows and columns may be any of its dimensions, or merged with others as in tokens.

    Args:
        features: as they were where their place was found.
        place: None of what does not come from the image, and so does not move.
        motion: of the image.
        stencil: how slopes on pixels are taken.
        as_scalar: turn features on whose field a small rotation does not act.

    Raises:
        UserError: how these features move is not known.
    """
    if place is None:
        return torch.zeros_like(features)
    acts = place.field is None or isinstance(place.field, (ScalarField, Invariant))
    if motion == "rotation" and not acts and not as_scalar:
        raise UserError(f"its features are a {type(place.field).__name__}: a rotation by a small angle does not act")
    if place.dimensions is None:
        if math.prod(place.shape[2:]) > 1:
            raise UserError(f"how its features {place.shape} lie over the image cannot be followed")
        return torch.zeros_like(features)
    factors = [factor for dimension in place.dimensions for factor in dimension if factor.size > 1]
    rows, columns = ([n for n, factor in enumerate(factors) if factor.axis == axis] for axis in ("y", "x"))
    if not rows and not columns:
        return torch.zeros_like(features)
    parts = features.reshape(*(factor.size for factor in factors), 1, 1)
    axes = ((rows or [len(factors)])[0], (columns or [len(factors) + 1])[0])
    slope = generator(parts.movedim(axes, (-2, -1)), motion, place.lattices, stencil)
    return slope.movedim((-2, -1), axes).reshape(features.shape)
