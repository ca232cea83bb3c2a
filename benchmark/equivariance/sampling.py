"""The operations that sample pixels: convolutions, pools, resizing, padding, strided slices, pixel shuffling."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from benchmark.equivariance.axes import Dimension, axes_of, plain, pure_axis, resized
from benchmark.equivariance.grid import AxisSampling, Sampling, by_rule
from benchmark.equivariance.tracing import Handler, Tracer, identity
from benchmark.equivariance.tracked import Call, Frame, Tracked
from benchmark.nn.fields import ScalarField

STRAIGHT = (Frame(), Frame())
AXES = ("y", "x")


def _input(tracer: Tracer, call: Call) -> tuple[Tensor, Tracked, list[Dimension]] | None:
    """The operation's first tensor where the image comes in through it alone."""
    tensor = next(value for value in call.arguments.values() if isinstance(value, Tensor))
    state = tracer.state(tensor)
    if state is None or state.dimensions is None or len(call.tracked) > 1:
        tracer.lose(call, "samples with weights that depend on the image")
        return None
    return tensor, state, list(state.dimensions)


def _spread(value: Any, length: int, default: int) -> list[int]:
    """One number for each axis."""
    numbers = [value] if isinstance(value, int) else list(value if value is not None else [])
    return numbers * length if len(numbers) == 1 else numbers or [default] * length


def _windows(
    tracer: Tracer,
    call: Call,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    *,
    transposed: bool = False,
    out: Tensor | None = None,
) -> tuple[Tracked, list[Dimension]] | None:
    """Judge windows that slide over the last dimensions; None where that cannot be done and the pixels are lost."""
    found = _input(tracer, call)
    if found is None:
        return None
    tensor, state, dimensions = found
    if all(number == 1 for number in (*kernel, *stride)) and not any(padding):
        return state, dimensions
    out = call.out if out is None else out
    count = len(kernel)
    places = range(len(dimensions) - count, len(dimensions))
    along: dict[str, AxisSampling] = {}
    mixed_padding = False
    for number, place in enumerate(places):
        axis = pure_axis(dimensions[place])
        if axis is None:
            tracer.lose(call, "slides over pixels that are merged with something else")
            return None
        if not axis:
            dimensions[place] = plain(out.shape[place])
            continue
        frame = state.frames[AXES.index(axis)]
        mixed_padding |= frame.lead != frame.trail and padding[number] > 0
        along[axis] = AxisSampling(
            tensor.shape[place] - frame.lead - frame.trail,
            out.shape[place],
            kernel[number],
            stride[number],
            dilation[number],
            padding[number] + frame.lead,
            transposed,
        )
        dimensions[place] = resized(dimensions[place], out.shape[place])
    sampling = _judged(call, state, along)
    past = state.past
    if sampling is not None:
        if mixed_padding and all(sampling.symmetric):
            tracer.lose(call, "pads features that were padded on one side before")
            return None
        past |= tracer.add(sampling)
    return replace(state, frames=STRAIGHT, past=past, dimensions=tuple(dimensions)), dimensions


def _judged(call: Call, state: Tracked, along: dict[str, AxisSampling]) -> Sampling | None:
    """The sampling by the rule, under the name of the padding layer where only that one is to blame."""
    rows, columns = along.get("y"), along.get("x")
    sides = [side for side in (rows, columns) if side is not None]
    if not sides:
        return None
    layer, op = call.layer, call.name
    crooked = next((frame for frame in state.frames if frame.lead != frame.trail), None)
    if crooked is not None and all(side.stride == 1 for side in sides) and not all(side.symmetric for side in sides):
        layer, op = crooked.layer, crooked.op
    return by_rule(layer, op, rows or identity(1), columns or identity(1))


def convolution(tracer: Tracer, call: Call) -> None:
    """A convolution or a transposed one; weights of its own make it a stranger, unless it only mixes channels."""
    arguments = call.arguments
    weight: Tensor = arguments["weight"]
    count = weight.ndim - 2
    kernel = list(weight.shape[2:])
    found = _windows(
        tracer,
        call,
        kernel,
        _spread(arguments["stride"], count, 1),
        _spread(arguments["padding"], count, 0),
        _spread(arguments["dilation"], count, 1),
        transposed=bool(arguments.get("transposed", False)),
    )
    if found is None:
        return None
    state, dimensions = found
    if axes_of(dimensions[-count - 1]):
        return tracer.lose(call, "maps all pixels at once by numbers for each of them")
    dimensions[-count - 1] = plain(call.out.shape[-count - 1])
    state = replace(state, dimensions=tuple(dimensions))
    if state.field != ScalarField():
        state = tracer.stranger(call, state, "convolves a field that mixes under the group with weights of its own")
    elif math.prod(kernel) > 1:
        state = tracer.stranger(call, state, "convolves with weights that need not be symmetric")
    return tracer.outputs(call, state)


def pool(tracer: Tracer, call: Call) -> None:
    """Maximum or average over sliding windows."""
    arguments = call.arguments
    count = int(call.name.split("pool")[1][0])
    kernel = _spread(arguments["kernel_size"], count, 1)
    out = call.out[0] if isinstance(call.out, tuple) else call.out
    found = _windows(
        tracer,
        call,
        kernel,
        _spread(arguments["stride"], count, 1) if arguments["stride"] else kernel,
        _spread(arguments["padding"], count, 0),
        _spread(arguments.get("dilation", 1), count, 1),
        out=out,
    )
    if found is None:
        return
    _set_first(tracer, call, out, found[0])


def _set_first(tracer: Tracer, call: Call, out: Tensor, state: Tracked) -> None:
    """The pooled features; the places of the maxima that come with them tell positions and are lost."""
    tracer.outputs(call, Tracked(None, None, past=state.past))
    tracer.set(out, state)


def tried(tracer: Tracer, call: Call) -> None:
    """Resizing and adaptive pooling: the operation itself is run on noise and on its mirror images."""
    found = _input(tracer, call)
    if found is None:
        return None
    tensor, state, dimensions = found
    if state.crooked:
        return tracer.lose(call, "resizes features that were padded on one side")
    out = call.out[0] if isinstance(call.out, tuple) else call.out
    if out.ndim != 4 or (pure_axis(dimensions[-2]), pure_axis(dimensions[-1])) != ("y", "x"):
        return tracer.lose(call, "resizes in another order of the axes than rows and columns")
    first = next(name for name, value in call.arguments.items() if value is tensor)

    def run(image: Tensor) -> Tensor:
        result = call.func(**{**call.arguments, first: image})
        return result[0] if isinstance(result, tuple) else result  # type: ignore[no-any-return]

    generator = torch.Generator().manual_seed(tensor.shape[-1])
    noise = torch.rand(1, 1, *tensor.shape[-2:], generator=generator, dtype=torch.float64)
    reference = run(noise)
    mirrored = [torch.allclose(run(noise.flip(axis)), reference.flip(axis), rtol=0, atol=1e-9) for axis in (-2, -1)]
    square = tensor.shape[-1] == tensor.shape[-2] and out.shape[-1] == out.shape[-2]
    turns = square and torch.allclose(run(noise.mT.contiguous()), reference.mT, rtol=0, atol=1e-9)
    rows, columns = (AxisSampling(tensor.shape[place], out.shape[place]) for place in (-2, -1))
    bit = tracer.add(Sampling(call.layer, call.name, rows, columns, (mirrored[0], mirrored[1]), turns))
    dimensions[-2:] = [resized(dimensions[place], out.shape[place]) for place in (-2, -1)]
    return _set_first(tracer, call, out, replace(state, past=state.past | bit, dimensions=tuple(dimensions)))


def pad(tracer: Tracer, call: Call) -> None:
    """Padding: judged together with the operation that samples next, or at the end."""
    found = _input(tracer, call)
    if found is None:
        return None
    tensor, state, dimensions = found
    numbers = list(call.arguments["pad" if "pad" in call.arguments else "padding"])
    is_constant = call.name == "constant_pad_nd"
    for number in range(len(numbers) // 2):
        place = tensor.ndim - 1 - number
        lead, trail = numbers[2 * number : 2 * number + 2]
        axis = pure_axis(dimensions[place])
        if axis is None:
            return tracer.lose(call, "pads pixels that are merged with something else")
        if axis:
            state = _framed(state, call, AXES.index(axis), lead, trail, constant=is_constant)
            dimensions[place] = resized(dimensions[place], call.out.shape[place])
        elif lead or trail:
            dimensions[place] = plain(call.out.shape[place])
            if state.field != ScalarField():
                state = tracer.stranger(call, state, "adds channels to a field that mixes under the group")
    return tracer.outputs(call, replace(state, dimensions=tuple(dimensions)))


def _framed(state: Tracked, call: Call, axis: int, lead: int, trail: int, *, constant: bool) -> Tracked:
    """The state with more on both sides of one axis; the same on both sides is forgotten."""
    frames = list(state.frames)
    old = frames[axis]
    new = Frame(old.lead + lead, old.trail + trail, old.constant and constant, call.layer, call.name)
    frames[axis] = Frame() if new.lead == new.trail else new
    return replace(state, frames=(frames[0], frames[1]))


def slices(tracer: Tracer, call: Call) -> None:
    """Every step-th row, column or channel; a crop where the step is one."""
    found = _input(tracer, call)
    if found is None:
        return None
    tensor, state, dimensions = found
    place = call.arguments["dim"] % tensor.ndim
    size, step, length = tensor.shape[place], call.arguments["step"], call.out.shape[place]
    if length == size:
        return tracer.outputs(call, state)
    start = call.arguments["start"] or 0
    start = max(0, start + size if start < 0 else min(start, size))
    axis = pure_axis(dimensions[place])
    if axis is None:
        return tracer.lose(call, "slices pixels that are merged with something else")
    if not axis:
        dimensions[place] = plain(length)
        if state.field != ScalarField():
            state = tracer.stranger(call, state, "picks channels of a field that mixes under the group")
    else:
        index = AXES.index(axis)
        dimensions[place] = resized(dimensions[place], length)
        if step == 1:
            state = _framed(state, call, index, -start, start + length - size, constant=False)
        else:
            frame = state.frames[index]
            own = AxisSampling(size - frame.lead - frame.trail, length, stride=step, padding=frame.lead - start)
            frames = [Frame() if number == index else other for number, other in enumerate(state.frames)]
            state = _sliced(tracer, call, replace(state, frames=(frames[0], frames[1])), index, own)
    return tracer.outputs(call, replace(state, dimensions=tuple(dimensions)))


def _sliced(tracer: Tracer, call: Call, state: Tracked, axis: int, own: AxisSampling) -> Tracked:
    """A strided slice of one axis: judged alone, and anew together with its twin along the other axis."""
    axes = [identity(1), identity(1)]
    axes[axis] = own
    symmetric = [side.symmetric for side in axes]
    past, turns = state.past, None
    if state.sliced is not None and state.sliced[1:] == (1 - axis, own):
        past &= ~state.sliced[0]
        axes, symmetric, turns = [own, own], [own.symmetric] * 2, True
    bit = tracer.add(Sampling(call.layer, call.name, axes[0], axes[1], (symmetric[0], symmetric[1]), turns))
    return replace(state, past=past | bit, sliced=None if turns else (bit, axis, own))


def shuffle(tracer: Tracer, call: Call) -> None:
    """Pixels into channels or back: the grid of blocks is symmetric, but the channels of a block change places."""
    found = _input(tracer, call)
    if found is None:
        return None
    _, state, dimensions = found
    if state.crooked or [pure_axis(dimension) for dimension in dimensions[-3:]] != ["", "y", "x"]:
        return tracer.lose(call, "shuffles pixels in another order of the axes than rows and columns")
    dimensions[-3] = plain(call.out.shape[-3])
    dimensions[-2:] = [resized(dimensions[place], call.out.shape[place]) for place in (-2, -1)]
    state = replace(state, dimensions=tuple(dimensions))
    return tracer.outputs(call, tracer.stranger(call, state, "gives every pixel of a block a channel of its own"))


def patches(tracer: Tracer, call: Call) -> None:
    """`unfold`: the windows of a convolution as columns."""
    found = _input(tracer, call)
    if found is None:
        return None
    tensor, state, dimensions = found
    numbers = {name: _spread(call.arguments[name], 2, 1) for name in ("kernel_size", "stride", "padding", "dilation")}
    if [pure_axis(dimension) for dimension in dimensions[-3:]] != ["", "y", "x"] or state.crooked:
        return tracer.lose(call, "unfolds pixels in another order of the axes than rows and columns")
    axes = []
    for number, size in enumerate(tensor.shape[-2:]):
        kernel, stride, padding, dilation = (
            numbers[name][number] for name in ("kernel_size", "stride", "padding", "dilation")
        )
        length = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        axes.append(AxisSampling(size, length, kernel, stride, dilation, padding))
    bit = tracer.add(by_rule(call.layer, call.name, axes[0], axes[1]))
    merged = resized(dimensions[-2], axes[0].output) + resized(dimensions[-1], axes[1].output)
    dimensions[-3:] = [plain(call.out.shape[-2]), merged]
    state = replace(state, dimensions=tuple(dimensions), past=state.past | bit)
    return tracer.outputs(call, tracer.stranger(call, state, "gives every pixel of a window a channel of its own"))


def _table(handler: Callable[[Tracer, Call], None], names: str) -> dict[str, Handler]:
    return dict.fromkeys(names.split(), handler)


SAMPLING_HANDLERS: dict[str, Handler] = {
    **_table(convolution, "convolution _convolution conv1d conv2d conv3d mkldnn_convolution cudnn_convolution"),
    **_table(
        pool,
        "max_pool2d_with_indices max_pool3d_with_indices max_pool1d max_pool2d max_pool3d mkldnn_max_pool2d "
        "avg_pool1d avg_pool2d avg_pool3d",
    ),
    **_table(
        tried,
        "_adaptive_avg_pool2d adaptive_max_pool2d adaptive_avg_pool2d upsample_nearest2d upsample_bilinear2d "
        "upsample_bicubic2d _upsample_nearest_exact2d _upsample_bilinear2d_aa _upsample_bicubic2d_aa",
    ),
    **_table(pad, "constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d"),
    **_table(slices, "slice"),
    **_table(shuffle, "pixel_shuffle pixel_unshuffle"),
    **_table(patches, "im2col"),
}
