"""The decision: exact or approximate by measurement, with controls that must fall on their sides.

The verdict is that of the output, in two states: with the weights as *given*, and *drawn* anew (`random_weights.py`).
Each must be judged under every element of the group. Layers explain the verdict: one that is broken below an exact
output is *recovered*.

What is exact on the images must not break on further inputs, either (`further_inputs.py`): noise, other ranges of
values and other batch sizes. The decision names the inputs on which it was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor, nn

from gcnnbench.equivariance.breaking_parameter import breaking_parameter
from gcnnbench.equivariance.controls import LARGEST, SMALLEST, ControlNetwork, control_images
from gcnnbench.equivariance.deviations import OUT_OF_ORDER, OUTPUT, keeps_the_order
from gcnnbench.equivariance.further_inputs import Inputs, further_inputs, inputs_of
from gcnnbench.equivariance.judgement import Judged, Judgement, judge
from gcnnbench.equivariance.precision import State, best_dtype, device_of, tensors
from gcnnbench.equivariance.random_weights import DRAWS, draw_weights
from gcnnbench.equivariance.results import DecisionVerdict
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many
from gcnnbench.nn.fields import Field, Invariant
from gcnnbench.nn.groups import CIRCULAR_SHIFTS, P2, P4, P4M, PM, ActingGroup, ShiftGroup

GIVEN, DRAWN = "given", "drawn"
SUBGROUPS: tuple[ActingGroup, ...] = (P2, PM, P4, P4M, CIRCULAR_SHIFTS)


class ControlError(RuntimeError):
    """A control fell on the wrong side: nothing decided on these images may be believed."""


@dataclass(frozen=True)
class Decision:
    """What measurement says.

    Args:
        group: the whole group that was asked about.
        states: the network as given and drawn anew, each judged; a third, on further inputs, where only that breaks.
        reason: what is wrong or could not be told, or None.
        control: the error at the output of the control that is broken, on the same images, if it ran.
        inputs: those on which it was measured: of the images, and the further ones on which it is exact.
        left_open: the further inputs on which nothing could be told, each with the reason.
        other_batches: whether it breaks only where another number of images is shown at once.
    """

    group: ActingGroup
    states: tuple[Judgement, ...]
    reason: str | None = None
    control: float | None = None
    inputs: tuple[Inputs, ...] = ()
    left_open: tuple[str, ...] = ()
    other_batches: bool = False

    @property
    def verdict(self) -> DecisionVerdict:
        """For the whole group."""
        return over(self.states, self.group)

    @property
    def subgroups(self) -> dict[str, DecisionVerdict]:
        """For each subgroup whose elements were measured."""
        measured = set(self.group.elements)
        return {sub.name: over(self.states, sub) for sub in SUBGROUPS if set(sub.elements) <= measured}

    @property
    def judged(self) -> tuple[Judged, ...]:
        """Every measurement behind it."""
        return tuple(one for state in self.states for one in state.judged)

    @property
    def broken(self) -> tuple[str, ...]:
        """The layers with a known action at which the symmetry is broken, in the order in which they ran."""
        order = dict.fromkeys(one.layer for one in self.judged if one.layer != OUTPUT)
        broken = {one.layer for one in self.judged if one.verdict == "approximate"}
        return tuple(layer for layer in order if layer in broken)

    @property
    def first_break(self) -> str | None:
        """The first layer measured to break below an output that is not exact; None where only the output shows it."""
        return self.broken[0] if self.broken and self.verdict != "exact" else None

    @property
    def recovered(self) -> tuple[str, ...]:
        """Layers that are broken below an exact output."""
        return self.broken if self.verdict == "exact" else ()

    @property
    def deciding(self) -> Judged | None:
        """The measurement that decided: the largest error at the output among those with the verdict, of all states."""
        verdict = self.verdict
        here = (one for state in self.states for one in state.at_output(self.group) if one.verdict == verdict)
        return max(here, key=lambda one: one.error, default=None)

    @property
    def on_further_inputs_only(self) -> bool:
        """Whether it is broken, but not on the images."""
        return self.verdict == "approximate" and over(self.states[:2], self.group) == "exact"

    @property
    def error(self) -> float | None:
        """The largest relative error of all, layers too; None where shapes differ or nothing was measured."""
        largest = max((one.error for one in self.judged), default=float("inf"))
        return None if largest == float("inf") else largest

    def output_error(self, state: str) -> float | None:
        """The largest relative error at the output in one state; None where shapes differ or nothing was measured."""
        errors = [one.error for one in self.judged if one.layer == OUTPUT and one.state == state]
        return max(errors) if errors and max(errors) < float("inf") else None


def over(states: Sequence[Judgement], group: ActingGroup) -> DecisionVerdict:
    """Of several states: approximate where one is, exact where all are."""
    verdicts = {state.verdict(group) for state in states}
    if "approximate" in verdicts:
        return "approximate"
    return "exact" if verdicts == {"exact"} else "unknown"


def decide(
    network: nn.Module, images: Tensor, group: ActingGroup, *, fan_in: int, output: Field | None = None
) -> Decision:
    """Decide by measurement whether a network is exactly equivariant at the size of these images.

    Args:
        network: is run on converted copies of its tensors and left as it was.
        images: at least two different real images (images, channels, size, size), as the network takes them.
        group: a subgroup of p4m, or circular shifts; its subgroups are decided as well.
        fan_in: N, the sum over the layers of the number of products in one entry.
        output: how the output should transform, invariant logits where None.

    Raises:
        UserError: the images are not square, too few, or of one pixel.
        ControlError: a control fell on the wrong side.
    """
    if len(images) < 2 or images.shape[-1] != images.shape[-2] or images.shape[-1] == 1:
        raise UserError(f"a decision needs at least two square images of several pixels; got {tuple(images.shape)}")
    broken = run_controls(images, group)
    found, drawn = _decide(network, images, group, fan_in, output or Invariant())
    found = replace(found, control=broken, inputs=(inputs_of(images),))
    if found.verdict != "exact":
        return found
    device = device_of(network, images)
    if not keeps_the_order(network, tensors, images.to(device, best_dtype(device))):
        return replace(found, states=(*found.states, Judgement(GIVEN, (), OUT_OF_ORDER)), reason=OUT_OF_ORDER)
    return _on_further_inputs(found, network, images, drawn, fan_in, output or Invariant())


def _on_further_inputs(
    found: Decision, network: nn.Module, images: Tensor, drawn: State, fan_in: int, output: Field
) -> Decision:
    """What is exact on the images, on further inputs: with those on which it is exact, or the first that breaks it."""
    group, held, left_open = found.group, list(found.inputs), list[str]()
    bound = max(one.bound for one in found.states[-1].at_output(group))
    for one in further_inputs(network, images, group, drawn=drawn, bound=bound, fan_in=fan_in, output=output):
        verdict = one.judgement.verdict(group)
        if verdict == "approximate":
            broken = replace(found, states=(*found.states, one.judgement), other_batches=one.other_batches)
            reason = f"{broken.deciding}; on the images it is exact: what it does depends on {one.depends_on}"
            return replace(broken, reason=reason, inputs=(*found.inputs, one.inputs))
        if verdict == "exact":
            held.append(one.inputs)
        else:
            left_open.append(one.judgement.doubt(group))
    return replace(found, inputs=tuple(dict.fromkeys(held)), left_open=tuple(left_open))


def run_controls(images: Tensor, group: ActingGroup = P4) -> float | None:
    """Decide the two control networks on these images, and give the error of the one that is broken.

    Under a group with shifts those whose border is circular and of zeros, else those of p4 on an even and an odd size.

    Raises:
        ControlError: the exact one is not found exact, or the broken one not approximate.
    """
    scale = -(-(SMALLEST + 1) // images.shape[-1])
    step = max(1, images.shape[-1] // LARGEST)
    large = images.detach().cpu()[..., ::step, ::step].repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    shifts = isinstance(group, ShiftGroup)
    worst: Judged | None = None
    expected: tuple[tuple[bool, DecisionVerdict], ...] = ((True, "exact"), (False, "approximate"))
    for positive, right in expected:
        network = ControlNetwork(images.shape[1], "circular" if shifts and positive else "zeros")
        shown = control_images(large, even=positive or shifts)
        products = 9 * images.shape[1] + 4 + 9 * 12 + shown[0, 0].numel() // (1 if shifts else 4) + 3
        decision, _ = _decide(network, shown, group if shifts else P4, products, Invariant())
        if decision.verdict != right:
            raise ControlError(
                f"the {'positive' if positive else 'negative'} control is {decision.verdict} instead of {right} on "
                f"these {how_many(len(images), 'image')} of {images.shape[-1]}×{images.shape[-1]} "
                f"(error {decision.error}): no decision on them may be believed. Are they all alike, or symmetric "
                "themselves?"
            )
        worst = decision.deciding
    return None if worst is None else worst.error


def _decide(
    network: nn.Module, images: Tensor, group: ActingGroup, fan_in: int, output: Field
) -> tuple[Decision, State]:
    """The decision on these images, and the state drawn anew that it rests on."""
    measure = partial(judge, network, images=images, group=group, fan_in=fan_in, output=output)
    given, draw, drawn = measure(GIVEN, tensors), 0, draw_weights
    anew = measure(DRAWN, drawn)
    while anew.verdict(group) == "unknown" and draw + 1 < DRAWS:
        draw += 1
        drawn = partial(draw_weights, images=images, draw=draw)
        anew = measure(DRAWN, drawn)
    found = Decision(group, (given, anew))
    return replace(found, reason=_reason(found, network, images, fan_in, output, draw)), drawn


def _reason(found: Decision, network: nn.Module, images: Tensor, fan_in: int, output: Field, draw: int) -> str | None:
    """What breaks an output that is not exact, and which parameter does where only drawn weights show it."""
    group, worst = found.group, found.deciding
    if found.verdict == "unknown":
        return "; ".join(dict.fromkeys(one.doubt(group) for one in found.states if one.verdict(group) == "unknown"))
    if found.verdict == "exact" or worst is None:
        return None
    reasons = [str(worst)]
    if found.first_break is not None:
        here = [one.error for one in found.judged if one.layer == found.first_break and one.verdict == "approximate"]
        reasons.append(f"the first layer measured to break is {found.first_break}, by {max(here):.2g}")
    given, anew = found.states
    if given.verdict(group) == "exact":
        name = breaking_parameter(network, images, group, draw=draw, fan_in=fan_in, output=output)
        reasons.append(f"as given it is exact: {name or 'it'} breaks it once it has other values")
    reasons += [state.doubt(group) for state in (given, anew) if state.verdict(group) == "unknown"]
    return "; ".join(reasons)
