"""What torch's reductions, normalisations and products do to pixels and fields."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from gcnnbench.equivariance.certificate.axes import axes_of, pixels, plain
from gcnnbench.equivariance.certificate.grid import AxisSampling, Sampling
from gcnnbench.equivariance.certificate.operations import (
    BY_POSITION,
    by_position,
    dimensions_of,
    joined_fields,
    of_first_input,
    one_field,
    otherwise,
    places_of,
    set_first,
    varies,
)
from gcnnbench.equivariance.certificate.pooling import EXTREMA, KINDS, NEITHER, reduced
from gcnnbench.equivariance.certificate.tracing import Tracer
from gcnnbench.equivariance.certificate.tracked import STRAIGHT, Call, Frame, Tracked
from gcnnbench.nn.fields import ScalarField

BOTH = frozenset({"y", "x"})
ALONG_ONE = "works along one axis of the image only"
UNEVEN = "takes statistics over pixels that were padded or cropped differently on their sides"


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
    if gone:
        state = reduced(state, call, KINDS.get(call.name, NEITHER))
    if gone and not left:
        blind = all(not frame.cropped and (frame.constant or call.name in EXTREMA) for frame in state.frames)
        state = replace(state, frames=STRAIGHT) if blind else framed(tracer, state)
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


def framed(tracer: Tracer, state: Tracked) -> Tracked:
    """The state with padding and cropping judged that are not the same on all four sides, as a sampling."""
    if not state.uneven:
        return replace(state, frames=STRAIGHT)
    y, x = state.frames
    named = y if y.layer else x
    rows, columns = (_as_sampling(state, axis) for axis in (0, 1))
    symmetric, periodic = (y.even, x.even), (y == Frame(), x == Frame())
    bit = tracer.add(Sampling(named.layer, named.op, rows, columns, symmetric, y == x, periodic))
    return replace(state, past=state.past | bit, lattices=state.framed_lattices(bit), frames=STRAIGHT)


def _as_sampling(state: Tracked, axis: int) -> AxisSampling:
    """Padding and cropping along one axis (0: rows, 1: columns), as its sampling."""
    frame = state.frames[axis]
    size = sum(f.size for dimension in dimensions_of(state) for f in dimension if f.axis == ("y", "x")[axis]) or 1
    return AxisSampling(size - frame.lead - frame.trail, size, padding=frame.lead)


@of_first_input
def batch_norm(tracer: Tracer, call: Call, _tensor: Tensor, state: Tracked) -> None:
    """A scale and a shift for each channel; group norm also takes its statistics over all pixels."""
    known = dimensions_of(state)
    if axes_of(known[1]):
        return otherwise(tracer, call)
    if call.name == "native_group_norm" and pixels(known[:1]) and pixels(known[2:]):
        return tracer.lose(call, ALONG_ONE)
    if state.uneven and (call.name == "native_group_norm" or call.arguments.get("training")):
        return tracer.lose(call, UNEVEN)
    if state.field != ScalarField():
        state = tracer.unknown_action(call, state, "has numbers of its own for each channel of a field that mixes")
    main = call.out[0] if isinstance(call.out, (list, tuple)) else call.out
    return set_first(tracer, call, main, state)


@of_first_input
def layer_norm(tracer: Tracer, call: Call, _tensor: Tensor, state: Tracked) -> None:
    """Statistics over the last dimensions, and a scale and a shift for each of their entries."""
    known = dimensions_of(state)
    last = len(call.arguments["normalized_shape"])
    inside, outside = pixels(known[-last:]), pixels(known[:-last])
    affine = call.arguments["weight"] is not None or call.arguments["bias"] is not None
    if inside and (affine or outside):
        return tracer.lose(call, "has numbers of its own for each pixel, or works along one axis only")
    if inside and state.uneven:
        return tracer.lose(call, UNEVEN)
    if state.field != ScalarField() and affine:
        state = tracer.unknown_action(call, state, "has numbers of its own for each channel of a field that mixes")
    return set_first(tracer, call, call.out[0], state)


@of_first_input
def softmax(tracer: Tracer, call: Call, _tensor: Tensor, state: Tracked) -> None:
    """Normalised exponentials along one dimension."""
    place = call.arguments["dim"] % len(dimensions_of(state))
    inside = axes_of(dimensions_of(state)[place])
    if inside and inside != BOTH:
        return tracer.lose(call, ALONG_ONE)
    if inside and state.uneven:
        return tracer.lose(call, UNEVEN)
    if state.field != ScalarField() and not inside:
        state = tracer.unknown_action(call, state, "joins channels of a field that mixes under the group")
    return tracer.outputs(call, state)


def product(tracer: Tracer, call: Call) -> None:
    """A matrix product with weights along one dimension: a map of channels, if that dimension holds no pixels.

    The weights may differ along the other dimensions, and a bias along all of them, where these hold no pixels either.
    """
    left, right = (call.arguments[name] for name in _operands(call))
    bias = call.arguments.get("self" if call.name in ("addmm", "baddbmm") else "bias")
    if isinstance(bias, Tensor) and tracer.state(bias) is not None:
        return tracer.lose(call, "adds features to a product of features")
    rows, columns = (None if state is None else dimensions_of(state) for state in map(tracer.state, (left, right)))
    if call.name == "linear":
        right, columns = right.t(), columns and columns[::-1]
    if rows and columns and pixels(rows) | pixels(columns):
        return tracer.lose(call, "multiplies features with features")
    out = [plain(size) for size in call.out.shape]
    if rows:
        summed, batch, weights = rows[-1], rows[:-2], right
        out[: len(rows) - 1] = rows[:-1]
    else:
        columns = columns or ()
        summed, batch, weights = columns[-2:][0], columns[:-2], left
        out[: len(batch)] = batch
        out[len(batch) + 1 :] = columns[len(batch) + 1 :]
    if axes_of(summed):
        return tracer.lose(call, "maps all pixels at once by numbers for each of them")
    if by_position(varies(weights, len(batch) + 2)[:-2], batch):
        return tracer.lose(call, "multiplies the features with numbers that depend on the position")
    if isinstance(bias, Tensor) and by_position(varies(bias, len(out)), out):
        return tracer.lose(call, BY_POSITION)
    field, frames = one_field(call.tracked), call.tracked[0].frames
    result = replace(call.merged, dimensions=tuple(out), field=field, frames=frames)
    result = joined_fields(tracer, call, result, call.tracked)
    if result.field != ScalarField():
        result = tracer.unknown_action(call, result, "mixes the channels of a field that mixes under the group")
    return tracer.outputs(call, result)


def _operands(call: Call) -> tuple[str, str]:
    names = (("mat1", "mat2"), ("batch1", "batch2"), ("self", "mat2"), ("input", "weight"), ("self", "vec"))
    return next(pair for pair in names if all(name in call.arguments for name in pair))


def decided_in_python(tracer: Tracer, call: Call) -> None:
    """A number read out of the features: what Python does with it cannot be seen."""
    tracer.unseen(call.name)
