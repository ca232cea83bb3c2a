"""What each of torch's operations does to pixels, apart from those that sample them (`sampling.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from gcnnbench.equivariance.certificate.axes import Dimension, Dimensions, axes_of, expanded, pixels, plain, reshaped
from gcnnbench.equivariance.certificate.tracing import Tracer
from gcnnbench.equivariance.certificate.tracked import Call, Frame, Tracked
from gcnnbench.nn.fields import Field, ScalarField


def first_input(tracer: Tracer, call: Call) -> tuple[Tensor, Tracked] | None:
    """The operation's first tensor and what is known of it; None where the image comes in through another argument."""
    tensor = next(value for value in call.arguments.values() if isinstance(value, Tensor))
    state = tracer.state(tensor)
    return None if state is None else (tensor, state)


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


def places_of(argument: Any, ndim: int) -> tuple[int, ...]:
    """An argument `dim`, in any of its forms, as non-negative places; all of them where it is missing."""
    if argument is None or (isinstance(argument, (list, tuple)) and not argument):
        return tuple(range(ndim))
    places = argument if isinstance(argument, (list, tuple)) else [argument]
    return tuple(place % ndim for place in places)


# operations on each entry alone


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
                for place, dimension in enumerate(expanded(dimensions_of(state), out.shape)):
                    if axes_of(dimension):
                        if axes_of(joined[place]) and joined[place] != dimension:
                            return tracer.lose(call, "joins features whose pixels lie in different order")
                        joined[place] = dimension
                    elif len(dimension) > 1 and not axes_of(joined[place]):
                        joined[place] = dimension
    for value in call.arguments.values():
        known = tracer.trusted and not tracer.shifts  # of a layer of ours, under the symmetries of the square
        if isinstance(value, Tensor) and tracer.state(value) is None and not known:
            extents = (1,) * (len(out.shape) - value.ndim) + tuple(value.shape)
            strides = (0,) * (len(out.shape) - value.ndim) + value.stride()
            varies = [size > 1 and stride != 0 for size, stride in zip(extents, strides, strict=True)]
            if any(vary and axes_of(joined[place]) for place, vary in enumerate(varies)):
                return tracer.lose(call, "joins the features with numbers that depend on the position")
            if any(varies) and not tracer.trusted:
                strange = "has numbers of its own for each channel of a field that mixes under the group"
    frames = {state.frames for state in call.tracked if pixels(dimensions_of(state))}
    if len(frames) > 1:
        if any(state.crooked for state in call.tracked):
            return tracer.lose(call, "joins features that were padded differently")
        frames = {(Frame(), Frame())}
    frame = frames.pop() if frames else (Frame(), Frame())
    sliced = call.tracked[0].sliced if len(call.tracked) == 1 else None
    result = replace(call.merged, dimensions=tuple(joined), field=one_field(call.tracked), frames=frame, sliced=sliced)
    if result.field is None and all(state.field is not None for state in call.tracked):
        result = tracer.stranger(call, replace(result, field=ScalarField()), "joins features that move differently")
    elif strange and result.field != ScalarField():
        result = tracer.stranger(call, result, strange)
    tracer.outputs(call, result)
    return None


def same(tracer: Tracer, call: Call) -> None:
    """A copy, a cast, or a tensor of constants in the same shape."""
    found = first_input(tracer, call)
    if found is None:
        return otherwise(tracer, call)
    return tracer.outputs(call, found[1])


def strided(tracer: Tracer, call: Call) -> None:
    """A view by strides: harmless where it changes nothing but the strides of dimensions of length one."""
    found = first_input(tracer, call)
    if found is None:
        return otherwise(tracer, call)
    tensor, state = found
    unchanged = tensor.shape == call.out.shape and all(
        size == 1 or old == new for size, old, new in zip(tensor.shape, tensor.stride(), call.out.stride(), strict=True)
    )
    if not unchanged or tensor.storage_offset() != call.out.storage_offset():
        return otherwise(tracer, call)
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
    return tracer.write(target, replace(source, dimensions=dimensions))


# views


def view(tracer: Tracer, call: Call) -> None:
    """A new shape for entries in the old order."""
    found = first_input(tracer, call)
    if found is None:
        return otherwise(tracer, call)
    tensor, state = found
    dimensions = reshaped(dimensions_of(state), call.out.shape)
    if dimensions is None:
        return tracer.lose(call, "cuts rows or columns of pixels into pieces")
    if pixels(dimensions) != pixels(dimensions_of(state)):
        state = replace(state, frames=(Frame(), Frame()))
    state = replace(state, dimensions=dimensions)
    if state.field != ScalarField() and tuple(call.out.shape[:2]) != tuple(tensor.shape[:2]):
        state = tracer.stranger(call, state, "regroups the channels of a field that mixes under the group")
    return tracer.outputs(call, state)


def expand(tracer: Tracer, call: Call) -> None:
    """Broadcasting."""
    found = first_input(tracer, call)
    if found is None:
        return otherwise(tracer, call)
    state = found[1]
    return tracer.outputs(call, replace(state, dimensions=expanded(dimensions_of(state), call.out.shape)))


def permute(tracer: Tracer, call: Call) -> None:
    """Dimensions in another order."""
    tensor, state = first_input(tracer, call) or (None, None)
    if tensor is None or state is None:
        return otherwise(tracer, call)
    order = list(range(tensor.ndim))
    if "dims" in call.arguments:
        order = [place % tensor.ndim for place in call.arguments["dims"]]
    elif tensor.ndim > 1:
        a, b = (call.arguments.get(name, default) % tensor.ndim for name, default in (("dim0", 0), ("dim1", 1)))
        order[a], order[b] = order[b], order[a]
    dimensions = tuple(dimensions_of(state)[place] for place in order)
    before = [axis for dimension in dimensions_of(state) for axis in sorted(axes_of(dimension))]
    after = [axis for dimension in dimensions for axis in sorted(axes_of(dimension))]
    moved = replace(state, dimensions=dimensions)
    if before != after:
        moved = tracer.stranger(call, _shifted(call, moved), "swaps rows and columns")
    elif state.field != ScalarField():
        moved = tracer.stranger(call, moved, "moves the channels of a field that mixes under the group")
    return tracer.outputs(call, moved)


def turn(tracer: Tracer, call: Call) -> None:
    """Quarter turns of two dimensions."""
    found = first_input(tracer, call)
    if found is None:
        return otherwise(tracer, call)
    tensor, state = found
    if state.crooked:
        return tracer.lose(call, "turns features that were padded on one side")
    a, b = places_of(call.arguments["dims"], tensor.ndim)
    dimensions = list(dimensions_of(state))
    if call.arguments["k"] % 2:
        dimensions[a], dimensions[b] = dimensions[b], dimensions[a]
    moved = _shifted(call, replace(state, dimensions=tuple(dimensions)))
    return tracer.outputs(call, tracer.stranger(call, moved, "turns the features"))


def flip(tracer: Tracer, call: Call) -> None:
    """Dimensions run through backwards."""
    tensor, state = first_input(tracer, call) or (None, None)
    if tensor is None or state is None:
        return otherwise(tracer, call)
    if state.crooked:
        return tracer.lose(call, "flips features that were padded on one side")
    spatial = pixels([dimensions_of(state)[place] for place in places_of(call.arguments["dims"], tensor.ndim)])
    if spatial or state.field != ScalarField():
        state = tracer.stranger(call, _shifted(call, state) if spatial else state, "flips the features")
    return tracer.outputs(call, state)


def _shifted(call: Call, state: Tracked) -> Tracked:
    """Features turned or mirrored: beside others, a grid that is broken here may be the mirror image of another."""
    return replace(state, restorable=state.restorable or f"{call.layer}: {call.name} turns features over")


def pick(tracer: Tracer, call: Call) -> None:
    """Some entries of one dimension: selecting, splitting, indexing."""
    found = first_input(tracer, call)
    if found is None:
        return otherwise(tracer, call)
    tensor, state = found
    if call.name == "index":
        places = [place for place, index in enumerate(call.arguments["indices"]) if index is not None]
    else:
        places = list(places_of(call.arguments["dim"], tensor.ndim))
    if pixels([dimensions_of(state)[place] for place in places]):
        return tracer.lose(call, "picks some of the pixels")
    if len(places) != 1:
        return otherwise(tracer, call)
    if state.field != ScalarField():
        state = tracer.stranger(call, state, "picks channels of a field that mixes under the group")
    (place,) = places
    for out in call.out if isinstance(call.out, (list, tuple)) else [call.out]:
        dimensions = list(dimensions_of(state))
        if out.ndim == tensor.ndim:
            dimensions[place] = plain(out.shape[place])
        elif out.ndim == tensor.ndim - 1:
            del dimensions[place]
        else:
            return otherwise(tracer, call)
        tracer.set(out, replace(state, dimensions=tuple(dimensions)))
    return None


def cat(tracer: Tracer, call: Call) -> None:
    """Tensors one behind another, along channels."""
    (place,) = places_of(call.arguments["dim"], call.out.ndim)
    states = [tracer.state(tensor) for tensor in call.arguments["tensors"]]
    known = [state for state in states if state is not None]
    if len(known) < len(states):
        return tracer.lose(call, "puts numbers of its own beside the features")
    if any(len(dimensions_of(state)) != call.out.ndim or axes_of(dimensions_of(state)[place]) for state in known):
        return tracer.lose(call, "puts features one behind another along the pixels")
    rows = [[dimension for at, dimension in enumerate(dimensions_of(state)) if at != place] for state in known]
    if any(list(map(axes_of, row)) != list(map(axes_of, rows[0])) for row in rows):
        return tracer.lose(call, "joins features whose pixels lie in different order")
    if len({state.frames for state in known}) > 1 and any(state.crooked for state in known):
        return tracer.lose(call, "joins features that were padded differently")
    dimensions = (*rows[0][:place], plain(call.out.shape[place]), *rows[0][place:])
    result = replace(call.merged, dimensions=dimensions, field=one_field(known), frames=known[0].frames)
    if result.field is None and all(state.field is not None for state in known):
        result = tracer.stranger(call, replace(result, field=ScalarField()), "joins features that move differently")
    return tracer.outputs(call, result)


def otherwise(tracer: Tracer, call: Call) -> None:
    """Any other operation: harmless to the grid once the pixels are gone, an obstacle before."""
    if any(pixels(dimensions_of(state)) for state in call.tracked):
        return tracer.lose(call, "does something to the pixels that is not known here")
    scalar = all(state.field == ScalarField() for state in call.tracked)
    for out in call.out if isinstance(call.out, (list, tuple)) else [call.out]:
        if isinstance(out, Tensor):
            state = replace(call.merged, dimensions=tuple(plain(size) for size in out.shape), field=ScalarField())
            tracer.set(out, state if scalar else tracer.stranger(call, state, "is not known here"))
    return None
