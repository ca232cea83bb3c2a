"""The decision: exact or approximate by measurement, with controls that must fall on their sides.

**The bound.** A sum of n products in arithmetic with unit roundoff u is off by at most n·u of the sum of their
magnitudes (Higham, *Accuracy and Stability of Numerical Algorithms*, §3.1), so that to first order the layers of a
network put N·u into its features, N = Σ n over the layers, and what is made early grows by the condition κ of the rest.
Both sides of `g f(x) = f(g x)` are computed, so an exact network stays below `2·N·u·κ`; κ is measured
(`deviations.py`). For the networks of this suite that is 1e-12 to 1e-9, and errors above 1e-6 never pass for rounding.

**The cross-check.** Rounding falls with precision, by 2²⁹ from float32 to float64; a broken symmetry does not. Where an
error lies between 1e-12, below which nothing but rounding is ever seen, and the ceiling, the network is measured in
float32 as well: an error above the bound that fell by a thousand or more, or one below it that did not, is neither, and
the decision is *unknown*.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.equivariance.controls import LARGEST, SMALLEST, ControlNetwork, control_images
from benchmark.equivariance.deviations import OUTPUT, Deviation, deviations
from benchmark.equivariance.precision import Tensors, best_dtype, device_of, tensors
from benchmark.equivariance.randomised import randomised
from benchmark.equivariance.results import DecisionVerdict
from benchmark.errors import UserError
from benchmark.nn.fields import Field, Invariant
from benchmark.nn.groups import P2, P4, P4M, PM, Element, Group

ROUNDOFF = 2.0**-53
CEILING = 1e-6
FALL = 1e3
NEGLIGIBLE = 1e-12
SUBGROUPS = (P2, PM, P4, P4M)


class ControlError(RuntimeError):
    """A control fell on the wrong side: nothing decided on these images may be believed."""


@dataclass(frozen=True)
class Judged:
    """One deviation with its bound and its verdict, in one state of the network (`given` or `randomised`)."""

    state: str
    layer: str
    element: str
    error: float
    bound: float
    verdict: DecisionVerdict


@dataclass(frozen=True)
class Decision:
    """What measurement says.

    Args:
        verdict: for the whole group that was asked about.
        subgroups: for each subgroup of p4m whose elements were measured.
        judged: every measurement behind it.
        reason: what is wrong or could not be told, or None.
    """

    verdict: DecisionVerdict
    subgroups: dict[str, DecisionVerdict]
    judged: tuple[Judged, ...]
    reason: str | None

    @property
    def first_break(self) -> str | None:
        """The first layer with a known action at which the symmetry is broken; None where only the output shows it."""
        order = list(dict.fromkeys(one.layer for one in self.judged if one.layer != OUTPUT))
        broken = {one.layer for one in self.judged if one.verdict == "approximate"}
        return next((layer for layer in order if layer in broken), None)

    @property
    def error(self) -> float | None:
        """The largest relative error of all; None where shapes differ or nothing was measured."""
        largest = max((one.error for one in self.judged), default=float("inf"))
        return None if largest == float("inf") else largest

    @property
    def invariance_error(self) -> float | None:
        """The largest relative error at the output with the weights as given, over the elements."""
        errors = [one.error for one in self.judged if one.layer == OUTPUT and one.state == "given"]
        return max(errors) if errors and max(errors) < float("inf") else None


def decide(
    network: nn.Module, images: Tensor, group: Group, *, fan_in: int, output: Field | None = None, controls: bool = True
) -> Decision:
    """Decide by measurement whether a network is exactly equivariant at the size of these images.

    Args:
        network: is run on converted copies of its tensors and left as it was.
        images: at least two different real images (images, channels, size, size), as the network takes them.
        group: a subgroup of p4m; its subgroups are decided as well.
        fan_in: N, the sum over the layers of the number of products in one entry.
        output: how the output should transform, invariant logits where None.
        controls: whether the two control networks run along.

    Raises:
        UserError: the images are not square, too few or all alike.
        ControlError: a control fell on the wrong side.
    """
    if len(images) < 2 or images.shape[-1] != images.shape[-2]:
        raise UserError(f"a decision needs at least two square images; got {tuple(images.shape)}")
    if controls:
        run_controls(images)
    return _decide(network, images, group, fan_in, output or Invariant())


def run_controls(images: Tensor) -> None:
    """Decide the two control networks on these images.

    Raises:
        ControlError: the exact one is not found exact, or the broken one not approximate.
    """
    scale = -(-(SMALLEST + 1) // images.shape[-1])
    step = max(1, images.shape[-1] // LARGEST)
    large = images.detach().cpu()[..., ::step, ::step].repeat_interleave(scale, -1).repeat_interleave(scale, -2)
    network = ControlNetwork(images.shape[1])
    expected: tuple[tuple[bool, DecisionVerdict], ...] = ((True, "exact"), (False, "approximate"))
    for even, right in expected:
        shown = control_images(large, even=even)
        products = 9 * images.shape[1] + 4 + 9 * 12 + shown[0, 0].numel() // 4 + 3
        decision = _decide(network, shown, P4, products, Invariant())
        if decision.verdict != right:
            raise ControlError(
                f"the {'positive' if even else 'negative'} control is {decision.verdict} instead of {right} on these "
                f"{len(images)} images of {images.shape[-1]}×{images.shape[-1]} (error {decision.error}): "
                "no decision on them may be believed. Are they all alike, or symmetric themselves?"
            )


def _decide(network: nn.Module, images: Tensor, group: Group, fan_in: int, output: Field) -> Decision:
    judged: list[Judged] = []
    reasons: list[str] = []
    for state in ("given", "randomised"):
        try:
            fine = _measured(network, images, group, output, state, torch.float64)
            doubtful = any(NEGLIGIBLE < one.error <= CEILING for one in fine)
            coarse = _measured(network, images, group, output, state, torch.float32) if doubtful else []
        except FloatingPointError as error:
            reasons.append(f"with the weights {state}: {error}")
            continue
        single = {(one.layer, one.element): one.error for one in coarse}
        for one in fine:
            bound = min(2 * fan_in * ROUNDOFF * one.condition, CEILING)
            verdict = _verdict(one.error, single.get((one.layer, one.element)), bound)
            judged.append(Judged(state, one.layer, one.element, one.error, bound, verdict))
    verdict = _over(judged, group)
    worst = max((one for one in judged if one.verdict == verdict != "exact"), key=lambda one: one.error, default=None)
    if worst is not None:
        reasons.insert(0, _because(worst))
    elif verdict == "unknown":
        reasons.insert(0, "the output is the same for all images, so nothing can be told from it")
    subgroups = {sub.name: _over(judged, sub) for sub in SUBGROUPS if set(sub.elements) <= set(group.elements)}
    return Decision(verdict, subgroups, tuple(judged), "; ".join(reasons) or None)


def _measured(
    network: nn.Module, images: Tensor, group: Group, output: Field, state: str, dtype: torch.dtype
) -> list[Deviation]:
    swapped: Tensors = tensors(network, dtype) if state == "given" else randomised(network, dtype)
    device = device_of(network, images)
    if best_dtype(device) != torch.float64:  # Apple's devices have no float64; the tensors are swapped in anyway
        device = torch.device("cpu")
        swapped = {name: tensor.to(device) for name, tensor in swapped.items()}
    return deviations(network, swapped, images.to(device, dtype), group.elements, output)


def _verdict(error: float, single: float | None, bound: float) -> DecisionVerdict:
    """By the bound and, where the error in single precision is known, by how it falls."""
    if error <= NEGLIGIBLE and error <= bound:
        return "exact"
    if error > CEILING:
        return "approximate"
    if single is None:
        return "unknown"
    fell = error * FALL <= single
    return ("exact" if fell else "unknown") if error <= bound else ("unknown" if fell else "approximate")


def _over(judged: Sequence[Judged], group: Group) -> DecisionVerdict:
    """The verdict for a group: approximate where anything breaks, exact where the output was seen not to."""
    names = {element.name for element in group.elements if element != Element()}
    here = [one for one in judged if one.element in names]
    if any(one.verdict == "approximate" for one in here):
        return "approximate"
    seen = {one.element for one in here if one.layer == OUTPUT}
    return "exact" if seen == names and all(one.verdict == "exact" for one in here) else "unknown"


def _because(one: Judged) -> str:
    return (
        f"{one.layer} deviates by {one.error:.2g} under {one.element} with the weights {one.state}; "
        f"rounding stays below {one.bound:.0e}"
    )
