"""What each of torch's operations does to pixels, apart from those that sample them (`sampling.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from benchmark.equivariance.axes import (
    Dimension,
    Dimensions,
    axes_of,
    expanded,
    pixels,
    plain,
    reshaped,
)
from benchmark.equivariance.grid import AxisSampling, Sampling
from benchmark.equivariance.sampling import SAMPLING_HANDLERS
from benchmark.equivariance.tracing import Call, Frame, Handler, Tracer, Tracked, identity
from benchmark.nn.fields import Field, ScalarField

BOTH = frozenset({"y", "x"})


def _first(tracer: Tracer, call: Call) -> tuple[Tensor, Tracked] | None:
    """The operation's first tensor and what is known of it; None where the image comes in through another argument."""
    tensor = next(value for value in call.arguments.values() if isinstance(value, Tensor))
    state = tracer.state(tensor)
    return None if state is None else (tensor, state)


def _known(state: Tracked) -> Dimensions:
    if state.dimensions is None:
        raise AssertionError("a lost tensor never reaches a handler")
    return state.dimensions


def _one_field(states: Sequence[Tracked]) -> Field | None:
    first = states[0].field
    return first if all(state.field == first for state in states) else None


def _dims(argument: Any, ndim: int) -> tuple[int, ...]:
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
                for place, dimension in enumerate(expanded(_known(state), out.shape)):
                    if axes_of(dimension):
                        if axes_of(joined[place]) and joined[place] != dimension:
                            return tracer.lose(call, "joins features whose pixels lie in different order")
                        joined[place] = dimension
                    elif len(dimension) > 1 and not axes_of(joined[place]):
                        joined[place] = dimension
    for value in call.arguments.values():
        if isinstance(value, Tensor) and tracer.state(value) is None and not tracer.trusted:
            extents = (1,) * (len(out.shape) - value.ndim) + tuple(value.shape)
            strides = (0,) * (len(out.shape) - value.ndim) + value.stride()
            varies = [size > 1 and stride != 0 for size, stride in zip(extents, strides, strict=True)]
            if any(vary and axes_of(joined[place]) for place, vary in enumerate(varies)):
                return tracer.lose(call, "joins the features with numbers that depend on the position")
            if any(varies):
                strange = "has numbers of its own for each channel of a field that mixes under the group"
    frames = {state.frames for state in call.tracked if pixels(_known(state))}
    if len(frames) > 1:
        if any(state.crooked for state in call.tracked):
            return tracer.lose(call, "joins features that were padded differently")
        frames = {(Frame(), Frame())}
    past = 0
    for state in call.tracked:
        past |= state.past
    result = Tracked(
        tuple(joined), _one_field(call.tracked), frames.pop() if frames else (Frame(), Frame()), None, past
    )
    if result.field is None and all(state.field is not None for state in call.tracked):
        result = tracer.stranger(call, replace(result, field=ScalarField()), "joins features that move differently")
    elif strange and result.field != ScalarField():
        result = tracer.stranger(call, result, strange)
    tracer.outputs(call, result)
    return None


def same(tracer: Tracer, call: Call) -> None:
    """A copy, a cast, or a tensor of constants in the same shape."""
    found = _first(tracer, call)
    if found is None:
        return otherwise(tracer, call)
    return tracer.outputs(call, found[1])


def strided(tracer: Tracer, call: Call) -> None:
    """A view by strides: harmless where it changes nothing but the strides of dimensions of length one."""
    found = _first(tracer, call)
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
    found = _first(tracer, call)
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
    dimensions = expanded(_known(source), target.shape)
    return tracer.write(target, replace(source, dimensions=dimensions))


# views


def view(tracer: Tracer, call: Call) -> None:
    """A new shape for entries in the old order."""
    found = _first(tracer, call)
    if found is None:
        return otherwise(tracer, call)
    tensor, state = found
    dimensions = reshaped(_known(state), call.out.shape)
    if dimensions is None:
        return tracer.lose(call, "cuts rows or columns of pixels into pieces")
    if pixels(dimensions) != pixels(_known(state)):
        state = replace(state, frames=(Frame(), Frame()))
    state = replace(state, dimensions=dimensions)
    if state.field != ScalarField() and tuple(call.out.shape[:2]) != tuple(tensor.shape[:2]):
        state = tracer.stranger(call, state, "regroups the channels of a field that mixes under the group")
    return tracer.outputs(call, state)


def expand(tracer: Tracer, call: Call) -> None:
    """Broadcasting."""
    found = _first(tracer, call)
    if found is None:
        return otherwise(tracer, call)
    state = found[1]
    return tracer.outputs(call, replace(state, dimensions=expanded(_known(state), call.out.shape)))


def permute(tracer: Tracer, call: Call) -> None:
    """Dimensions in another order."""
    tensor, state = _first(tracer, call) or (None, None)
    if tensor is None or state is None:
        return otherwise(tracer, call)
    order = list(range(tensor.ndim))
    if "dims" in call.arguments:
        order = [place % tensor.ndim for place in call.arguments["dims"]]
    elif tensor.ndim > 1:
        a, b = (call.arguments.get(name, default) % tensor.ndim for name, default in (("dim0", 0), ("dim1", 1)))
        order[a], order[b] = order[b], order[a]
    dimensions = tuple(_known(state)[place] for place in order)
    before = [axis for dimension in _known(state) for axis in sorted(axes_of(dimension))]
    after = [axis for dimension in dimensions for axis in sorted(axes_of(dimension))]
    moved = replace(state, dimensions=dimensions)
    if before != after:
        moved = tracer.stranger(call, moved, "swaps rows and columns")
    elif state.field != ScalarField():
        moved = tracer.stranger(call, moved, "moves the channels of a field that mixes under the group")
    return tracer.outputs(call, moved)


def flip(tracer: Tracer, call: Call) -> None:
    """Dimensions run through backwards."""
    tensor, state = _first(tracer, call) or (None, None)
    if tensor is None or state is None:
        return otherwise(tracer, call)
    if state.crooked:
        return tracer.lose(call, "flips features that were padded on one side")
    spatial = pixels([_known(state)[place] for place in _dims(call.arguments["dims"], tensor.ndim)])
    if spatial or state.field != ScalarField():
        state = tracer.stranger(call, state, "flips the features")
    return tracer.outputs(call, state)


def pick(tracer: Tracer, call: Call) -> None:
    """Some entries of one dimension: selecting, splitting, indexing."""
    found = _first(tracer, call)
    if found is None:
        return otherwise(tracer, call)
    tensor, state = found
    if call.name == "index":
        places = [place for place, index in enumerate(call.arguments["indices"]) if index is not None]
    else:
        places = list(_dims(call.arguments["dim"], tensor.ndim))
    if pixels([_known(state)[place] for place in places]):
        return tracer.lose(call, "picks some of the pixels")
    if len(places) != 1:
        return otherwise(tracer, call)
    if state.field != ScalarField():
        state = tracer.stranger(call, state, "picks channels of a field that mixes under the group")
    (place,) = places
    for out in call.out if isinstance(call.out, (list, tuple)) else [call.out]:
        dimensions = list(_known(state))
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
    (place,) = _dims(call.arguments["dim"], call.out.ndim)
    states = [tracer.state(tensor) for tensor in call.arguments["tensors"]]
    known = [state for state in states if state is not None]
    if len(known) < len(states):
        return tracer.lose(call, "puts numbers of its own beside the features")
    if any(len(_known(state)) != call.out.ndim or axes_of(_known(state)[place]) for state in known):
        return tracer.lose(call, "puts features one behind another along the pixels")
    rows = [[dimension for at, dimension in enumerate(_known(state)) if at != place] for state in known]
    if any(list(map(axes_of, row)) != list(map(axes_of, rows[0])) for row in rows):
        return tracer.lose(call, "joins features whose pixels lie in different order")
    if len({state.frames for state in known}) > 1 and any(state.crooked for state in known):
        return tracer.lose(call, "joins features that were padded differently")
    past = 0
    for state in known:
        past |= state.past
    dimensions = (*rows[0][:place], plain(call.out.shape[place]), *rows[0][place:])
    result = replace(known[0], dimensions=dimensions, field=_one_field(known), past=past)
    if result.field is None and all(state.field is not None for state in known):
        result = tracer.stranger(call, replace(result, field=ScalarField()), "joins features that move differently")
    return tracer.outputs(call, result)


# reductions, normalisations and products


def reduction(tracer: Tracer, call: Call) -> None:
    """A symmetric function of all entries along some dimensions: mean, sum, maximum, variance, norm."""
    found = _first(tracer, call)
    if found is None:
        return otherwise(tracer, call)
    tensor, state = found
    places = _dims(call.arguments.get("dim"), tensor.ndim)
    keep = bool(call.arguments.get("keepdim", False))
    known = _known(state)
    gone = pixels([known[place] for place in places])
    left = pixels([dimension for place, dimension in enumerate(known) if place not in places])
    if state.half and (state.half != call.name or not gone):
        return tracer.lose(call, "works on features that were reduced along one axis of the image only")
    half = call.name if gone and left else None
    if gone and not left:
        for axis, frame in enumerate(state.frames):
            if frame.lead != frame.trail and not frame.constant:
                state = replace(state, past=state.past | tracer.add(one_sided(state, axis)))
        state = replace(state, frames=(Frame(), Frame()))
    if state.field != ScalarField() and any(not axes_of(known[place]) and tensor.shape[place] > 1 for place in places):
        state = tracer.stranger(call, state, "reduces channels of a field that mixes under the group")
    dimensions = tuple(
        plain(1) if place in places else dimension
        for place, dimension in enumerate(known)
        if keep or place not in places
    )
    outs = call.out if isinstance(call.out, (list, tuple)) else [call.out]
    for out in outs:
        if out.dtype.is_floating_point or out.dtype.is_complex or not gone:
            tracer.set(out, replace(state, dimensions=dimensions, half=half))
        else:
            tracer.set(out, Tracked(None, None, past=state.past))
    return None


def one_sided(state: Tracked, axis: int) -> Sampling:
    """Padding or cropping on one side of an axis (0: rows, 1: columns), as a sampling."""
    frame = state.frames[axis]
    size = sum(f.size for dimension in _known(state) for f in dimension if f.axis == ("y", "x")[axis]) or 1
    own = AxisSampling(size - frame.lead - frame.trail, size, padding=frame.lead)
    rows, columns = (own, identity(1)) if axis == 0 else (identity(1), own)
    return Sampling(frame.layer, frame.op, rows, columns, (axis != 0, axis != 1), True)


def batch_norm(tracer: Tracer, call: Call) -> None:
    """A scale and a shift for each channel; group norm also takes its statistics over all pixels."""
    tensor, state = _first(tracer, call) or (None, None)
    if tensor is None or state is None or axes_of(_known(state)[1]):
        return otherwise(tracer, call)
    if state.field != ScalarField():
        state = tracer.stranger(call, state, "has numbers of its own for each channel of a field that mixes")
    main = call.out[0] if isinstance(call.out, (list, tuple)) else call.out
    return tracer.set(main, state)


def layer_norm(tracer: Tracer, call: Call) -> None:
    """Statistics over the last dimensions, and a scale and a shift for each of their entries."""
    tensor, state = _first(tracer, call) or (None, None)
    if tensor is None or state is None:
        return otherwise(tracer, call)
    known = _known(state)
    last = len(call.arguments["normalized_shape"])
    inside, outside = pixels(known[-last:]), pixels(known[:-last])
    affine = call.arguments["weight"] is not None or call.arguments["bias"] is not None
    if inside and (affine or outside):
        return tracer.lose(call, "has numbers of its own for each pixel, or works along one axis only")
    if state.field != ScalarField() and affine:
        state = tracer.stranger(call, state, "has numbers of its own for each channel of a field that mixes")
    return tracer.set(call.out[0], state)


def softmax(tracer: Tracer, call: Call) -> None:
    """Normalised exponentials along one dimension."""
    found = _first(tracer, call)
    if found is None:
        return otherwise(tracer, call)
    state = found[1]
    place = call.arguments["dim"] % len(_known(state))
    inside = axes_of(_known(state)[place])
    if inside and inside != BOTH:
        return tracer.lose(call, "works along one axis of the image only")
    if state.field != ScalarField() and not inside:
        state = tracer.stranger(call, state, "joins channels of a field that mixes under the group")
    return tracer.outputs(call, state)


def product(tracer: Tracer, call: Call) -> None:
    """A matrix product with weights along one dimension: a map of channels, if that dimension holds no pixels."""
    left, right = (call.arguments[name] for name in (("mat1", "mat2") if "mat1" in call.arguments else _operands(call)))
    states = tracer.state(left), tracer.state(right)
    if call.name == "linear":
        right = right.t()
    rows = None if states[0] is None else _known(states[0])
    columns = None if states[1] is None else _known(states[1])
    if (rows and axes_of(rows[-1])) or (columns and axes_of(columns[-2 if len(columns) > 1 else -1])):
        return tracer.lose(call, "maps all pixels at once by numbers for each of them")
    if rows and columns and pixels(rows) | pixels(columns):
        return tracer.lose(call, "multiplies features with features")
    state = next(state for state in states if state is not None)
    bias = (
        call.arguments.get("self", call.arguments.get("bias")) if call.name in ("addmm", "baddbmm", "linear") else None
    )
    if isinstance(bias, Tensor) and tracer.state(bias) is not None:
        return tracer.lose(call, "adds features to a product of features")
    dimensions = tuple(plain(size) for size in call.out.shape)
    if rows:
        dimensions = (*rows[:-1], *dimensions[len(rows) - 1 :])
    elif columns:
        dimensions = (*columns[:-2], *dimensions[len(columns) - 2 : -1], columns[-1])
    if rows and isinstance(bias, Tensor) and bias.ndim > 1 and bias.shape[0] > 1 and pixels(rows):
        return tracer.lose(call, "joins the features with numbers that depend on the position")
    tracer.notes.fan_in += left.shape[-1]
    past = (states[0].past if states[0] else 0) | (states[1].past if states[1] else 0)
    result = replace(state, dimensions=dimensions, past=past)
    if state.field != ScalarField():
        result = tracer.stranger(call, result, "mixes the channels of a field that mixes under the group")
    return tracer.outputs(call, result)


def _operands(call: Call) -> tuple[str, str]:
    names = ("batch1", "batch2"), ("self", "mat2"), ("input", "weight"), ("self", "vec"), ("self", "tensor")
    return next(pair for pair in names if all(name in call.arguments for name in pair))


def decided_in_python(tracer: Tracer, call: Call) -> None:
    """A number read out of the features: what Python does with it cannot be seen."""
    tracer.unseen(call, "hands numbers of the features to Python, which may do anything with them")


def otherwise(tracer: Tracer, call: Call) -> None:
    """Any other operation: harmless to the grid once the pixels are gone, an obstacle before."""
    if any(pixels(_known(state)) for state in call.tracked):
        return tracer.lose(call, "does something to the pixels that is not known here")
    past = 0
    for state in call.tracked:
        past |= state.past
    scalar = all(state.field == ScalarField() for state in call.tracked)
    for out in call.out if isinstance(call.out, (list, tuple)) else [call.out]:
        if isinstance(out, Tensor):
            state = Tracked(tuple(plain(size) for size in out.shape), ScalarField(), past=past)
            tracer.set(out, state if scalar else tracer.stranger(call, state, "is not known here"))
    return None


def _table(handler: Handler, names: str) -> dict[str, Handler]:
    return dict.fromkeys(names.split(), handler)


HANDLERS: dict[str, Handler] = {
    **SAMPLING_HANDLERS,
    **_table(pointwise, "hardswish _prelu_kernel rsub xlogy masked_fill"),
    **_table(
        same,
        "log_sigmoid_forward clone _to_copy detach alias contiguous lift_fresh lift native_dropout _conj resolve_conj",
    ),
    **_table(strided, "as_strided"),
    **_table(constant, "zeros_like ones_like full_like"),
    **_table(nothing, "empty_like new_empty new_zeros new_ones new_full new_empty_strided sym_size is_same_size"),
    **_table(copy, "copy"),
    **_table(view, "view _unsafe_view reshape squeeze unsqueeze _reshape_alias flatten unflatten"),
    **_table(expand, "expand"),
    **_table(permute, "permute transpose t"),
    **_table(flip, "flip"),
    **_table(pick, "select split split_with_sizes unbind index_select index unsafe_split chunk"),
    **_table(cat, "cat"),
    **_table(reduction, "mean sum amax amin max min var std var_mean logsumexp linalg_vector_norm norm any all prod"),
    **_table(
        batch_norm,
        "native_batch_norm _native_batch_norm_legit_no_training _native_batch_norm_legit cudnn_batch_norm batch_norm "
        "native_group_norm _batch_norm_no_update miopen_batch_norm",
    ),
    **_table(layer_norm, "native_layer_norm"),
    **_table(softmax, "_softmax _log_softmax _safe_softmax"),
    **_table(product, "mm bmm addmm baddbmm mv linear"),
    **_table(decided_in_python, "_local_scalar_dense equal nonzero item is_nonzero"),
}
"""The operations whose effect on pixels is known, by name; entrywise ones are known by torch's own tag."""
