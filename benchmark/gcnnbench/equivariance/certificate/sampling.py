"""The operations that sample pixels: convolutions, pools and resizing."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import wraps
from typing import Any

import torch
from torch import Tensor

from gcnnbench.equivariance.certificate.axes import Dimension, axes_of, plain, pure_axis, resized
from gcnnbench.equivariance.certificate.grid import AxisSampling, Sampling, by_rule, identity
from gcnnbench.equivariance.certificate.operations import set_first
from gcnnbench.equivariance.certificate.pooling import (
    ENTRIES,
    MEAN,
    NEITHER,
    behind,
    kind_of_pool,
    over_all,
    pooled,
    reduced,
)
from gcnnbench.equivariance.certificate.tracing import Handler, Tracer
from gcnnbench.equivariance.certificate.tracked import Call, Frame, Tracked
from gcnnbench.nn.fields import ScalarField

AXES = ("y", "x")


def only_input(tracer: Tracer, call: Call) -> tuple[Tensor, Tracked, list[Dimension]] | None:
    """The operation's first tensor where the image comes in through it alone."""
    tensor = next(value for value in call.arguments.values() if isinstance(value, Tensor))
    state = tracer.state(tensor)
    if state is None or state.dimensions is None or len(call.tracked) > 1:
        tracer.lose(call, "samples with weights that depend on the image")
        return None
    return tensor, state, list(state.dimensions)


def of_only_input(follow: Callable[[Tracer, Call, Tensor, Tracked, list[Dimension]], None]) -> Handler:
    """The handler that gives `follow` what `only_input` finds; where that is nothing, the pixels are lost."""

    @wraps(follow)
    def handler(tracer: Tracer, call: Call) -> None:
        if (found := only_input(tracer, call)) is not None:
            follow(tracer, call, *found)

    return handler


def one_for_each_axis(value: Any, length: int, default: int) -> list[int]:
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
    kind: frozenset[str],
    *,
    transposed: bool = False,
    result: Tensor | None = None,
) -> tuple[Tracked, list[Dimension]] | None:
    """Judge windows that slide over the last dimensions; None where that cannot be done and the pixels are lost."""
    found = only_input(tracer, call)
    if found is None:
        return None
    tensor, state, dimensions = found
    out: Tensor = call.out if result is None else result
    count = len(kernel)
    same_places = not any(padding) and out.shape[-count:] == tensor.shape[-count:]
    if all(number == 1 for number in (*kernel, *stride)) and same_places:
        return state, dimensions
    places = range(len(dimensions) - count, len(dimensions))
    along: dict[str, AxisSampling] = {}
    mixed = not state.agreeing
    for number, place in enumerate(places):
        axis = pure_axis(dimensions[place])
        if axis is None:
            tracer.lose(call, "slides over pixels that are merged with something else")
            return None
        if not axis:
            dimensions[place] = plain(out.shape[place])
            continue
        frame = state.frames[AXES.index(axis)]
        mixed |= state.uneven and padding[number] > 0
        along[axis] = AxisSampling(
            tensor.shape[place] - frame.lead - frame.trail,
            out.shape[place],
            kernel[number],
            stride[number],
            dilation[number],
            padding[number] + frame.lead,
            transposed,
            circular=frame.circular and not padding[number],
        )
        dimensions[place] = resized(dimensions[place], out.shape[place])
    sampling = _judged(call, state, along)
    if sampling is not None:
        if mixed and all(sampling.symmetric) and sampling.turns is not False:
            tracer.lose(call, "slides over features that were padded differently on their sides")
            return None
        state = behind(state, sampling, tracer.add(sampling), kind)
        y, x = (Frame() if axis in along else frame for axis, frame in zip(AXES, state.frames, strict=True))
        state = replace(state, frames=(y, x))
        if all(side.output == 1 for side in along.values()):
            state = reduced(state, call, over_all(kind))
    return replace(state, dimensions=tuple(dimensions)), dimensions


def _judged(call: Call, state: Tracked, along: dict[str, AxisSampling]) -> Sampling | None:
    """The sampling by the rule, under the name of the padding layer where only that one is to blame."""
    rows, columns = along.get("y"), along.get("x")
    sides = [side for side in (rows, columns) if side is not None]
    if not sides:
        return None
    layer, op = call.layer, call.name
    uneven = next((frame for frame in state.frames if not frame.even), None)
    if uneven is not None and all(side.stride == 1 for side in sides) and not all(side.symmetric for side in sides):
        layer, op = uneven.layer, uneven.op
    return by_rule(layer, op, rows or identity(1), columns or identity(1))


def convolution(tracer: Tracer, call: Call) -> None:
    """A convolution or a transposed one; weights of its own leave its action unknown, unless it only mixes channels."""
    arguments = call.arguments
    weight: Tensor = arguments["weight"]
    count = weight.ndim - 2
    kernel = list(weight.shape[2:])
    transposed = bool(arguments.get("transposed", False))
    stride, dilation = (one_for_each_axis(arguments[name], count, 1) for name in ("stride", "dilation"))
    found = _windows(
        tracer,
        call,
        kernel,
        stride,
        one_for_each_axis(arguments["padding"], count, 0),
        dilation,
        _kind_of_convolution(kernel, stride, dilation, transposed=transposed),
        transposed=transposed,
    )
    if found is None:
        return None
    state, dimensions = found
    if axes_of(dimensions[-count - 1]):
        return tracer.lose(call, "maps all pixels at once by numbers for each of them")
    dimensions[-count - 1] = plain(call.out.shape[-count - 1])
    state = replace(state, dimensions=tuple(dimensions))
    if state.field != ScalarField():
        state = tracer.unknown_action(
            call, state, "convolves a field that mixes under the group with weights of its own"
        )
    elif math.prod(kernel) > 1 and tracer.turns:
        state = tracer.unknown_action(call, state, "convolves with weights that need not be symmetric")
    return tracer.outputs(call, state)


def _kind_of_convolution(
    kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int], *, transposed: bool
) -> frozenset[str]:
    """The reductions over all pixels that forget where a transposed convolution puts them.

    A mean does; where the windows of two pixels never meet, so that each output comes from one, every other does, too.
    """
    apart = all(
        place * gap % step for size, step, gap in zip(kernel, stride, dilation, strict=True) for place in range(1, size)
    )
    return NEITHER if not transposed else MEAN | ENTRIES if apart else MEAN


def pool(tracer: Tracer, call: Call) -> None:
    """Maximum or average over sliding windows."""
    arguments = call.arguments
    count = int(call.name.split("pool")[1][0])
    kernel = one_for_each_axis(arguments["kernel_size"], count, 1)
    out = call.out[0] if isinstance(call.out, tuple) else call.out
    found = _windows(
        tracer,
        call,
        kernel,
        one_for_each_axis(arguments["stride"], count, 1) if arguments["stride"] else kernel,
        one_for_each_axis(arguments["padding"], count, 0),
        one_for_each_axis(arguments.get("dilation", 1), count, 1),
        kind_of_pool(call.name),
        result=out,
    )
    if found is None:
        return
    set_first(tracer, call, out, found[0])


@of_only_input
def tried(tracer: Tracer, call: Call, tensor: Tensor, state: Tracked, dimensions: list[Dimension]) -> None:
    """Resizing and adaptive pooling: the operation itself is run on noise and on its mirror images."""
    if state.uneven:
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

    def rolled(axis: int) -> bool:
        """Whether a shift by one pixel shifts the result by as many as one has become, or leaves one pixel as it is."""
        old, new = tensor.shape[axis], out.shape[axis]
        fits = new == 1 or new % old == 0
        moved = reference.roll(new // old, axis)
        return fits and torch.allclose(run(noise.roll(1, axis)), moved, rtol=0, atol=1e-9)

    symmetric, periodic = (mirrored[0], mirrored[1]), (rolled(-2), rolled(-1))
    sampling, kind = Sampling(call.layer, call.name, rows, columns, symmetric, turns, periodic), kind_of_pool(call.name)
    if "nearest" in call.name and not any(side.output % side.input for side in (rows, columns)):
        kind |= MEAN | ENTRIES  # it repeats every pixel as often
    bit = tracer.add(sampling)
    dimensions[-2:] = [resized(dimensions[place], out.shape[place]) for place in (-2, -1)]
    y, x = (
        lattice.resized(tensor.shape[place], out.shape[place], symmetric=mirrored[place], bit=bit)
        for lattice, place in zip(state.lattices, (-2, -1), strict=True)
    )
    windows = pooled(state, sampling, kind)
    if rows.output == columns.output == 1:
        state = reduced(state, call, over_all(kind))
    state = replace(state, past=state.past | bit, dimensions=tuple(dimensions), lattices=(y, x), pooled=windows)
    return set_first(tracer, call, out, state)
