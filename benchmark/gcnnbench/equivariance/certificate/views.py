"""What views, transpositions, flips, choices and joins of tensors do to pixels and fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gcnnbench.equivariance.certificate.axes import axes_of, expanded, pixels, plain, reshaped
from gcnnbench.equivariance.certificate.operations import (
    VANISHED,
    dimensions_of,
    joined_fields,
    of_first_input,
    one_field,
    otherwise,
    places_of,
    vanish,
)
from gcnnbench.equivariance.certificate.tracing import Tracer
from gcnnbench.equivariance.certificate.tracked import Call, Tracked
from gcnnbench.nn.fields import ScalarField


@of_first_input
def strided(tracer: Tracer, call: Call, tensor: Tensor, state: Tracked) -> None:
    """A view by strides: harmless where it changes nothing but the strides of dimensions of length one."""
    unchanged = tensor.shape == call.out.shape and all(
        size == 1 or old == new for size, old, new in zip(tensor.shape, tensor.stride(), call.out.stride(), strict=True)
    )
    if not unchanged or tensor.storage_offset() != call.out.storage_offset():
        return otherwise(tracer, call)
    return tracer.outputs(call, state)


@of_first_input
def view(tracer: Tracer, call: Call, tensor: Tensor, state: Tracked) -> None:
    """A new shape for entries in the old order, or the bits of each read as another number."""
    dimensions = reshaped(dimensions_of(state), call.out.shape)
    if dimensions is None:
        cut = "numbers into their bytes" if "dtype" in call.arguments else "rows or columns of pixels into pieces"
        return tracer.lose(call, f"cuts {cut}")
    if vanish(state, dimensions):
        return tracer.lose(call, VANISHED)
    state = replace(state, dimensions=dimensions)
    if state.field != ScalarField() and tuple(call.out.shape[:2]) != tuple(tensor.shape[:2]):
        state = tracer.unknown_action(call, state, "regroups the channels of a field that mixes under the group")
    return tracer.outputs(call, state)


@of_first_input
def expand(tracer: Tracer, call: Call, _tensor: Tensor, state: Tracked) -> None:
    """Broadcasting."""
    dimensions = expanded(dimensions_of(state), call.out.shape)
    if vanish(state, dimensions):
        return tracer.lose(call, VANISHED)
    return tracer.outputs(call, replace(state, dimensions=dimensions))


@of_first_input
def permute(tracer: Tracer, call: Call, tensor: Tensor, state: Tracked) -> None:
    """Dimensions in another order."""
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
        moved = tracer.unknown_action(call, _shifted(call, moved), "swaps rows and columns")
    elif state.field != ScalarField():
        moved = tracer.unknown_action(call, moved, "moves the channels of a field that mixes under the group")
    return tracer.outputs(call, moved)


@of_first_input
def turn(tracer: Tracer, call: Call, tensor: Tensor, state: Tracked) -> None:
    """Quarter turns of two dimensions."""
    if state.uneven:
        return tracer.lose(call, "turns features that were padded on one side")
    a, b = places_of(call.arguments["dims"], tensor.ndim)
    dimensions = list(dimensions_of(state))
    if call.arguments["k"] % 2:
        dimensions[a], dimensions[b] = dimensions[b], dimensions[a]
    moved = _shifted(call, replace(state, dimensions=tuple(dimensions)))
    return tracer.outputs(call, tracer.unknown_action(call, moved, "turns the features"))


@of_first_input
def flip(tracer: Tracer, call: Call, tensor: Tensor, state: Tracked) -> None:
    """Dimensions run through backwards."""
    if state.uneven:
        return tracer.lose(call, "flips features that were padded on one side")
    spatial = pixels([dimensions_of(state)[place] for place in places_of(call.arguments["dims"], tensor.ndim)])
    if spatial or state.field != ScalarField():
        state = tracer.unknown_action(call, _shifted(call, state) if spatial else state, "flips the features")
    return tracer.outputs(call, state)


def _shifted(call: Call, state: Tracked) -> Tracked:
    """Features turned or mirrored: beside others, a grid that is broken here may be the mirror image of another."""
    return replace(state, restorable=state.restorable or f"{call.layer}: {call.name} turns features over")


@of_first_input
def pick(tracer: Tracer, call: Call, tensor: Tensor, state: Tracked) -> None:
    """Some entries of one dimension: selecting, splitting, indexing."""
    if call.name == "index":
        places = indexed(call.arguments["indices"])
    else:
        places = list(places_of(call.arguments["dim"], tensor.ndim))
    if pixels([dimensions_of(state)[place] for place in places]):
        return tracer.lose(call, "picks some of the pixels")
    if len(places) != 1:
        return otherwise(tracer, call)
    if state.field != ScalarField():
        state = tracer.unknown_action(call, state, "picks channels of a field that mixes under the group")
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


def indexed(indices: Sequence[Tensor | None]) -> list[int]:
    """The places of the dimensions that are indexed; a mask indexes as many as it has itself."""
    places, place = list[int](), 0
    for index in indices:
        width = index.ndim if index is not None and index.dtype in (torch.bool, torch.uint8) else 1
        places += range(place, place + width) if index is not None else ()
        place += width
    return places


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
    if len({state.frames for state in known}) > 1 and any(state.uneven for state in known):
        return tracer.lose(call, "joins features that were padded differently")
    dimensions = (*rows[0][:place], plain(call.out.shape[place]), *rows[0][place:])
    result = replace(call.merged, dimensions=dimensions, field=one_field(known), frames=known[0].frames)
    return tracer.outputs(call, joined_fields(tracer, call, result, known))
