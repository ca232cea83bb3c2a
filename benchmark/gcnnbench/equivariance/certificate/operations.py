"""What torch's entrywise operations, copies and constants do to pixels; and what follows from an unknown operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from gcnnbench.equivariance.certificate.axes import Dimension, Dimensions, axes_of, expanded, pixels, plain
from gcnnbench.equivariance.certificate.tracing import Handler, Tracer
from gcnnbench.equivariance.certificate.tracked import STRAIGHT, Call, Tracked
from gcnnbench.nn.fields import Field, ScalarField

BY_POSITION = "joins the features with numbers that depend on the position"
VANISHED = "keeps a row or column that was cut out of the pixels, and forgets where"


def first_input(tracer: Tracer, call: Call) -> tuple[Tensor, Tracked] | None:
    """The operation's first tensor and what is known of it; None where the image comes in through another argument."""
    tensor = next(value for value in call.arguments.values() if isinstance(value, Tensor))
    state = tracer.state(tensor)
    return None if state is None else (tensor, state)


def of_first_input(follow: Callable[[Tracer, Call, Tensor, Tracked], None]) -> Handler:
    """The handler that gives `follow` the first tensor and what is known of it, where the image comes in by it alone.

    Else it does as `otherwise` does: a weight or an index that is made from the image may tell one pixel from another.
    """

    @wraps(follow)
    def handler(tracer: Tracer, call: Call) -> None:
        found = first_input(tracer, call)
        if found is None or len(call.tracked) > 1:
            return otherwise(tracer, call)
        return follow(tracer, call, *found)

    return handler


def dimensions_of(state: Tracked) -> Dimensions:
    """Where the pixels of a tensor are; a lost one never reaches a handler.

    Raises:
        LookupError: it did.
    """
    if state.dimensions is None:
        raise LookupError("the pixels of this tensor are lost")
    return state.dimensions


def one_field(states: Sequence[Tracked]) -> Field | None:
    """The field that all of these share, or None."""
    first = states[0].field
    return first if all(state.field == first for state in states) else None


def joined_fields(tracer: Tracer, call: Call, result: Tracked, states: Sequence[Tracked]) -> Tracked:
    """The result of a join, whose action is not known where it joins fields of several kinds."""
    if result.field is None and all(state.field is not None for state in states):
        scalar = replace(result, field=ScalarField())
        return tracer.unknown_action(call, scalar, "joins features that move differently")
    return result


def varies(tensor: Tensor, ndim: int) -> list[bool]:
    """For each dimension of what a tensor is broadcast to, `ndim` in all, whether its numbers differ along it."""
    strides = tensor.stride() if tensor.layout is torch.strided else (1,) * tensor.ndim
    own = [size > 1 and stride != 0 for size, stride in zip(tensor.shape, strides, strict=True)]
    return [False] * (ndim - tensor.ndim) + own


def by_position(varying: Sequence[bool], dimensions: Sequence[Dimension]) -> bool:
    """Whether numbers that differ along some of these dimensions tell one pixel from another."""
    return any(vary and axes_of(dimension) for vary, dimension in zip(varying, dimensions, strict=True))


def vanish(state: Tracked, dimensions: Dimensions) -> bool:
    """Whether pixels are told no longer in these dimensions, and what was padded or cropped is not judged yet."""
    return state.uneven and pixels(dimensions) != pixels(dimensions_of(state))


def places_of(argument: Any, ndim: int) -> tuple[int, ...]:
    """An argument `dim`, in any of its forms, as non-negative places; all of them where it is missing."""
    if argument is None or (isinstance(argument, (list, tuple)) and not argument):
        return tuple(range(ndim))
    places = argument if isinstance(argument, (list, tuple)) else [argument]
    return tuple(place % ndim for place in places)


def pointwise(tracer: Tracer, call: Call) -> None:
    """Entries of one place stay together; a tensor from elsewhere must not tell one pixel from another."""
    out = call.out
    if not isinstance(out, Tensor):
        return tracer.lose(call, "this operation gives several results")
    joined: list[Dimension] = [plain(size) for size in out.shape]
    strange = ""
    for value in call.arguments.values():
        for tensor in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(tensor, Tensor) and (state := tracer.state(tensor)) is not None:
                spread = expanded(dimensions_of(state), out.shape)
                if vanish(state, spread):
                    return tracer.lose(call, VANISHED)
                for place, dimension in enumerate(spread):
                    if axes_of(dimension):
                        if axes_of(joined[place]) and joined[place] != dimension:
                            return tracer.lose(call, "joins features whose pixels lie in different order")
                        joined[place] = dimension
                    elif len(dimension) > 1 and not axes_of(joined[place]):
                        joined[place] = dimension
    for value in call.arguments.values():
        known = tracer.trusted and not tracer.shifts  # of a layer of ours, under the symmetries of the square
        if isinstance(value, Tensor) and not known:
            state, varying = tracer.state(value), varies(value, out.ndim)
            own = () if state is None else expanded(dimensions_of(state), out.shape)
            elsewhere = [vary and not (own and axes_of(own[place])) for place, vary in enumerate(varying)]
            if by_position(elsewhere, joined):
                return tracer.lose(call, BY_POSITION)
            if state is None and any(varying) and not tracer.trusted:
                strange = "has numbers of its own for each channel of a field that mixes under the group"
    frames = {state.frames for state in call.tracked if pixels(dimensions_of(state))}
    if len(frames) > 1:
        if any(state.uneven for state in call.tracked):
            return tracer.lose(call, "joins features that were padded differently")
        frames = {STRAIGHT}
    frame = frames.pop() if frames else STRAIGHT
    sliced = call.tracked[0].sliced if len(call.tracked) == 1 else None
    result = replace(call.merged, dimensions=tuple(joined), field=one_field(call.tracked), frames=frame, sliced=sliced)
    result = joined_fields(tracer, call, result, call.tracked)
    if strange and result.field != ScalarField():
        result = tracer.unknown_action(call, result, strange)
    tracer.outputs(call, result)
    return None


def set_first(tracer: Tracer, call: Call, out: Tensor, state: Tracked) -> None:
    """The features that an operation puts out; what comes with them (places, statistics) is not followed."""
    tracer.outputs(call, replace(call.merged, past=state.past))
    tracer.set(out, state)


@of_first_input
def same(tracer: Tracer, call: Call, _tensor: Tensor, state: Tracked) -> None:
    """A copy, a cast, or a tensor of constants in the same shape."""
    return tracer.outputs(call, state)


def constant(tracer: Tracer, call: Call) -> None:
    """A tensor filled with one number: it depends on the shape alone."""
    found = first_input(tracer, call)
    if found is not None:
        tracer.outputs(call, replace(found[1], field=found[1].field or ScalarField(), past=0, half=None))


def nothing(tracer: Tracer, call: Call) -> None:
    """Memory without content, and questions about shapes."""


def copy(tracer: Tracer, call: Call) -> None:
    """Writing into a tensor, or into a part of one."""
    source = tracer.state(call.arguments["src"])
    target: Tensor = call.arguments["self"]
    if source is None:
        return tracer.lose(call, "writes other numbers into the features")
    dimensions = expanded(dimensions_of(source), target.shape)
    return tracer.memory.write(call, target, replace(source, dimensions=dimensions))


def otherwise(tracer: Tracer, call: Call) -> None:
    """Any other operation: harmless to the grid once the pixels are gone, an obstacle before."""
    if any(pixels(dimensions_of(state)) for state in call.tracked):
        return tracer.lose(call, "does something to the pixels that is not known here")
    scalar = all(state.field == ScalarField() for state in call.tracked)
    for out in call.out if isinstance(call.out, (list, tuple)) else [call.out]:
        if isinstance(out, Tensor):
            state = replace(call.merged, dimensions=tuple(plain(size) for size in out.shape), field=ScalarField())
            tracer.set(out, state if scalar else tracer.unknown_action(call, state, "is not known here"))
    return None
