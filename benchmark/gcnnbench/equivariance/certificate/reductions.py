"""What torch's reductions, normalisations and products do to pixels and fields."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from gcnnbench.equivariance.certificate.axes import axes_of, pixels, plain
from gcnnbench.equivariance.certificate.grid import AxisSampling, Sampling, identity
from gcnnbench.equivariance.certificate.operations import dimensions_of, of_first_input, otherwise, places_of
from gcnnbench.equivariance.certificate.tracing import Tracer
from gcnnbench.equivariance.certificate.tracked import Call, Frame, Tracked
from gcnnbench.nn.fields import ScalarField

BOTH = frozenset({"y", "x"})


@of_first_input
def reduction(tracer: Tracer, call: Call, tensor: Tensor, state: Tracked) -> None:
    """A symmetric function of all entries along some dimensions: mean, sum, maximum, variance, norm."""
    places = places_of(call.arguments.get("dim"), tensor.ndim)
    keep = bool(call.arguments.get("keepdim", False))
    known = dimensions_of(state)
    gone = pixels([known[place] for place in places])
    left = pixels([dimension for place, dimension in enumerate(known) if place not in places])
    if state.half and (state.half != call.name or not gone):
        return tracer.lose(call, "works on features that were reduced along one axis of the image only")
    half = call.name if gone and left else None
    if gone and not left:
        for axis, frame in enumerate(state.frames):
            if frame.uneven and not frame.constant:
                state = reframed(state, axis, tracer.add(one_sided(state, axis)))
        state = replace(state, frames=(Frame(), Frame()))
    if state.field != ScalarField() and any(not axes_of(known[place]) and tensor.shape[place] > 1 for place in places):
        state = tracer.unknown_action(call, state, "reduces channels of a field that mixes under the group")
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
            tracer.set(out, replace(call.merged, past=state.past))
    return None


def reframed(state: Tracked, axis: int, bit: int) -> Tracked:
    """The state with padding or cropping on one side judged, as the sampling of this bit."""
    frame, lattices = state.frames[axis], list(state.lattices)
    lattices[axis] = lattices[axis].framed(frame.lead, frame.trail, bit)
    return replace(state, past=state.past | bit, lattices=(lattices[0], lattices[1]))


def one_sided(state: Tracked, axis: int) -> Sampling:
    """Padding or cropping on one side of an axis (0: rows, 1: columns), as a sampling."""
    frame = state.frames[axis]
    size = sum(f.size for dimension in dimensions_of(state) for f in dimension if f.axis == ("y", "x")[axis]) or 1
    own = AxisSampling(size - frame.lead - frame.trail, size, padding=frame.lead)
    rows, columns = (own, identity(1)) if axis == 0 else (identity(1), own)
    only_other = (axis != 0, axis != 1)
    return Sampling(frame.layer, frame.op, rows, columns, only_other, True, only_other)


@of_first_input
def batch_norm(tracer: Tracer, call: Call, _tensor: Tensor, state: Tracked) -> None:
    """A scale and a shift for each channel; group norm also takes its statistics over all pixels."""
    if axes_of(dimensions_of(state)[1]):
        return otherwise(tracer, call)
    if state.field != ScalarField():
        state = tracer.unknown_action(call, state, "has numbers of its own for each channel of a field that mixes")
    main = call.out[0] if isinstance(call.out, (list, tuple)) else call.out
    return tracer.set(main, state)


@of_first_input
def layer_norm(tracer: Tracer, call: Call, _tensor: Tensor, state: Tracked) -> None:
    """Statistics over the last dimensions, and a scale and a shift for each of their entries."""
    known = dimensions_of(state)
    last = len(call.arguments["normalized_shape"])
    inside, outside = pixels(known[-last:]), pixels(known[:-last])
    affine = call.arguments["weight"] is not None or call.arguments["bias"] is not None
    if inside and (affine or outside):
        return tracer.lose(call, "has numbers of its own for each pixel, or works along one axis only")
    if state.field != ScalarField() and affine:
        state = tracer.unknown_action(call, state, "has numbers of its own for each channel of a field that mixes")
    return tracer.set(call.out[0], state)


@of_first_input
def softmax(tracer: Tracer, call: Call, _tensor: Tensor, state: Tracked) -> None:
    """Normalised exponentials along one dimension."""
    place = call.arguments["dim"] % len(dimensions_of(state))
    inside = axes_of(dimensions_of(state)[place])
    if inside and inside != BOTH:
        return tracer.lose(call, "works along one axis of the image only")
    if state.field != ScalarField() and not inside:
        state = tracer.unknown_action(call, state, "joins channels of a field that mixes under the group")
    return tracer.outputs(call, state)


def product(tracer: Tracer, call: Call) -> None:
    """A matrix product with weights along one dimension: a map of channels, if that dimension holds no pixels."""
    left, right = (call.arguments[name] for name in (("mat1", "mat2") if "mat1" in call.arguments else _operands(call)))
    states = tracer.state(left), tracer.state(right)
    if call.name == "linear":
        right = right.t()
    rows = None if states[0] is None else dimensions_of(states[0])
    columns = None if states[1] is None else dimensions_of(states[1])
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
    result = replace(call.merged, dimensions=dimensions, field=state.field, frames=state.frames)
    if state.field != ScalarField():
        result = tracer.unknown_action(call, result, "mixes the channels of a field that mixes under the group")
    return tracer.outputs(call, result)


def _operands(call: Call) -> tuple[str, str]:
    names = ("batch1", "batch2"), ("self", "mat2"), ("input", "weight"), ("self", "vec"), ("self", "tensor")
    return next(pair for pair in names if all(name in call.arguments for name in pair))


def decided_in_python(tracer: Tracer, call: Call) -> None:
    """A number read out of the features: what Python does with it cannot be seen."""
    tracer.unseen(call, "hands numbers of the features to Python, which may do anything with them")
