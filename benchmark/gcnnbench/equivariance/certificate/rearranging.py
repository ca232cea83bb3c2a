"""Padding, slicing and shuffling of pixels: what moves the sampling grid without weights."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from gcnnbench.equivariance.certificate.axes import Dimension, plain, pure_axis, resized
from gcnnbench.equivariance.certificate.grid import AxisSampling, Sampling, by_rule, identity
from gcnnbench.equivariance.certificate.pooling import MAXIMUM, MEAN, behind
from gcnnbench.equivariance.certificate.sampling import AXES, of_only_input, one_for_each_axis
from gcnnbench.equivariance.certificate.tracing import Tracer
from gcnnbench.equivariance.certificate.tracked import STRAIGHT, Call, Frame, Tracked
from gcnnbench.nn.fields import ScalarField


@of_only_input
def pad(tracer: Tracer, call: Call, tensor: Tensor, state: Tracked, dimensions: list[Dimension]) -> None:
    """Padding: judged together with the operation that samples next, or at the end."""
    numbers = list(call.arguments["pad" if "pad" in call.arguments else "padding"])
    is_constant, circular = call.name == "constant_pad_nd", call.name == "pad_circular"
    tracer.notes.paddings += 1
    padding = tracer.notes.paddings
    for number in range(len(numbers) // 2):
        place = tensor.ndim - 1 - number
        lead, trail = numbers[2 * number : 2 * number + 2]
        axis = pure_axis(dimensions[place])
        if axis is None:
            return tracer.lose(call, "pads pixels that are merged with something else")
        if axis:
            index = AXES.index(axis)
            if circular and state.frames[index] != Frame():
                return tracer.lose(call, "wraps features round that were padded or cropped before")
            state = _framed(state, call, index, lead, trail, padding, constant=is_constant, circular=circular)
            if circular:  # on a torus a later shift may undo what moves a map
                state = replace(state, restorable=state.restorable or f"{call.layer}: {call.name} closes it to a torus")
            elif lead or trail:
                state = _torn(tracer, call, state, index)
            dimensions[place] = resized(dimensions[place], call.out.shape[place])
        elif lead or trail:
            dimensions[place] = plain(call.out.shape[place])
            if state.field != ScalarField():
                state = tracer.unknown_action(call, state, "adds channels to a field that mixes under the group")
    return tracer.outputs(call, _forgotten(replace(state, dimensions=tuple(dimensions))))


def _framed(
    state: Tracked,
    call: Call,
    axis: int,
    lead: int,
    trail: int,
    padding: int = 0,
    *,
    constant: bool = True,
    circular: bool = False,
) -> Tracked:
    """The state with so many pixels more on the sides of one axis, by the padding of this number; fewer if negative."""
    frames = list(state.frames)
    old = frames[axis]
    sides = old.before.extended(lead, padding), old.behind.extended(trail, padding)
    frames[axis] = Frame(*sides, old.constant and constant, circular, call.layer, call.name)
    return replace(state, frames=(frames[0], frames[1]))


def _forgotten(state: Tracked) -> Tracked:
    """The state without its frames where all four sides hold the same, unless it wraps round."""
    return state if state.uneven or state.wrapped else replace(state, frames=STRAIGHT)


def _torn(tracer: Tracer, call: Call, state: Tracked, axis: int) -> Tracked:
    """The state with a border that no shift goes with noted, where shifts are asked for."""
    if not tracer.shifts:
        return state
    bit = tracer.add(
        Sampling(call.layer, call.name, identity(1), identity(1), (True, True), True, (axis != 0, axis != 1))
    )
    return replace(state, past=state.past | bit)


@of_only_input
def slices(tracer: Tracer, call: Call, tensor: Tensor, state: Tracked, dimensions: list[Dimension]) -> None:
    """Every step-th row, column or channel; a crop where the step is one."""
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
            state = tracer.unknown_action(call, state, "picks channels of a field that mixes under the group")
    else:
        index = AXES.index(axis)
        dimensions[place] = resized(dimensions[place], length)
        if step == 1:
            state = _framed(state, call, index, -start, start + length - size)
            state = _torn(tracer, call, state, index)
        elif not state.agreeing:
            return tracer.lose(call, "slices features that were padded differently on their sides")
        else:
            frame = state.frames[index]
            own = AxisSampling(size - frame.lead - frame.trail, length, stride=step, padding=frame.lead - start)
            frames = [Frame() if number == index else other for number, other in enumerate(state.frames)]
            state = _sliced(tracer, call, replace(state, frames=(frames[0], frames[1])), index, own)
    return tracer.outputs(call, _forgotten(replace(state, dimensions=tuple(dimensions))))


def _sliced(tracer: Tracer, call: Call, state: Tracked, axis: int, own: AxisSampling) -> Tracked:
    """A strided slice of one axis: judged alone, and anew together with its twin along the other axis."""
    axes = [identity(1), identity(1)]
    axes[axis] = own
    symmetric = [side.symmetric for side in axes]
    past, turns = state.past, None
    if state.sliced is not None and state.sliced[1:] == (1 - axis, own):
        past &= ~state.sliced[0]
        axes, symmetric, turns = [own, own], [own.symmetric] * 2, True
    periodic = axes[0].periodic, axes[1].periodic
    bit = tracer.add(Sampling(call.layer, call.name, axes[0], axes[1], (symmetric[0], symmetric[1]), turns, periodic))
    lattices = list(state.lattices)
    lattices[axis] = lattices[axis].sampled(own, bit)
    return replace(
        state, past=past | bit, sliced=None if turns else (bit, axis, own), lattices=(lattices[0], lattices[1])
    )


@of_only_input
def shuffle(tracer: Tracer, call: Call, tensor: Tensor, state: Tracked, dimensions: list[Dimension]) -> None:
    """Pixels into channels or back: the grid of blocks is symmetric, but the channels of a block change places."""
    if state.uneven or [pure_axis(dimension) for dimension in dimensions[-3:]] != ["", "y", "x"]:
        return tracer.lose(call, "shuffles pixels in another order of the axes than rows and columns")
    if tracer.shifts:
        return tracer.lose(call, "cuts the pixels into blocks")
    dimensions[-3] = plain(call.out.shape[-3])
    dimensions[-2:] = [resized(dimensions[place], call.out.shape[place]) for place in (-2, -1)]
    y, x = (
        lattice.resized(tensor.shape[place], call.out.shape[place], symmetric=True)
        for lattice, place in zip(state.lattices, (-2, -1), strict=True)
    )
    state = replace(state, dimensions=tuple(dimensions), lattices=(y, x))
    return tracer.outputs(call, tracer.unknown_action(call, state, "gives every pixel of a block a channel of its own"))


@of_only_input
def patches(tracer: Tracer, call: Call, tensor: Tensor, state: Tracked, dimensions: list[Dimension]) -> None:
    """`unfold`: the windows of a convolution as columns."""
    numbers = {
        name: one_for_each_axis(call.arguments[name], 2, 1) for name in ("kernel_size", "stride", "padding", "dilation")
    }
    if [pure_axis(dimension) for dimension in dimensions[-3:]] != ["", "y", "x"] or state.uneven:
        return tracer.lose(call, "unfolds pixels in another order of the axes than rows and columns")
    axes = []
    for number, size in enumerate(tensor.shape[-2:]):
        kernel, stride, padding, dilation = (
            numbers[name][number] for name in ("kernel_size", "stride", "padding", "dilation")
        )
        length = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        axes.append(AxisSampling(size, length, kernel, stride, dilation, padding))
    sampling = by_rule(call.layer, call.name, axes[0], axes[1])
    bit = tracer.add(sampling)
    merged = resized(dimensions[-2], axes[0].output) + resized(dimensions[-1], axes[1].output)
    dimensions[-3:] = [plain(call.out.shape[-2]), merged]
    state = behind(state, sampling, bit, MAXIMUM | MEAN)
    state = replace(state, dimensions=tuple(dimensions))
    return tracer.outputs(
        call, tracer.unknown_action(call, state, "gives every pixel of a window a channel of its own")
    )
