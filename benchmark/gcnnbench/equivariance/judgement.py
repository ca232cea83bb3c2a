"""One state of a network, judged by measurement: every deviation beside what rounding can explain of it.

**The bound.** A sum of n products in arithmetic with unit roundoff u is off by at most n·u of the sum of their
magnitudes (Higham, *Accuracy and Stability of Numerical Algorithms*, §3.1), so that to first order the layers of a
network put N·u into its features, N = Σ n over the layers, and what is made early grows by the condition κ of the rest.
Both sides of `g f(x) = f(g x)` are computed, so an exact network stays below `2·N·u·κ`; κ is measured
(`deviations.py`). For the networks of this suite that is 1e-12 to 1e-9. Where it exceeds 1e-6, rounding and a broken
symmetry could pass for each other: only an error above the bound, or below 1e-12, tells anything.

**The cross-check.** Rounding falls with precision, by 2²⁹ from float32 to float64; a broken symmetry does not. Where an
error lies between 1e-12, below which nothing but rounding is ever seen, and 1e-3, which a thousandfold fall still
leaves room above, the network is measured in float32 as well: an error below the bound that did not fall so far, five
bits allowed, or one above it that fell by a thousand or more, is neither, and the verdict is *unknown*. So it is where
float32 shows next to no error: a broken symmetry would be as broken there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gcnnbench.equivariance.deviations import OUTPUT, Deviation, UnjudgedError, deviations
from gcnnbench.equivariance.precision import State, float64_device
from gcnnbench.equivariance.results import DecisionVerdict
from gcnnbench.foreign_code import REFUSALS, raise_if_told_to_end
from gcnnbench.nn.fields import Field
from gcnnbench.nn.groups import ActingGroup, Element

ROUNDOFF = 2.0**-53
CEILING = 1e-6
"""Of errors above it, and of bounds, only an error above its bound tells anything."""
IN_DOUBT = 1e-3
"""Errors up to here are measured in float32 as well."""
FALL = 1e3
"""By how much less a broken symmetry falls from float32 to float64."""
ROUNDING_FALL = 2.0**24
"""By how much more rounding does."""
NEGLIGIBLE = 1e-12


@dataclass(frozen=True)
class Judged:
    """One deviation with its bound and its verdict.

    Args:
        state: of the network, as in `Judgement`.
        layer: the layer's name, or `output`.
        element: the group element's name.
        error: relative, infinite where shapes differ.
        bound: what rounding stays below.
        verdict: of this layer under this element.
        single: the error in float32, where that was measured.
    """

    state: str
    layer: str
    element: str
    error: float
    bound: float
    verdict: DecisionVerdict
    single: float | None = None

    def __str__(self) -> str:
        told = self.verdict == "unknown" and self.single is not None
        return (
            f"{self.layer} deviates by {self.error:.2g} under {self.element} with the weights {self.state}; "
            f"rounding stays below {self.bound:.0e}{f', and in float32 by {self.single:.2g}' if told else ''}"
        )


@dataclass(frozen=True)
class Judgement:
    """What measurement says of a network in one state.

    Args:
        state: what its tensors are: `given`, or `drawn` anew.
        judged: every deviation, layer by layer in the order in which they ran, the output last.
        problem: why nothing could be told from the output, or None.
    """

    state: str
    judged: tuple[Judged, ...]
    problem: str | None = None

    def at_output(self, group: ActingGroup) -> tuple[Judged, ...]:
        """The output's deviations under the elements of a group."""
        names = _moving(group)
        return tuple(one for one in self.judged if one.layer == OUTPUT and one.element in names)

    def verdict(self, group: ActingGroup) -> DecisionVerdict:
        """That of the output: approximate where an element breaks it, exact where every element was seen not to."""
        here = self.at_output(group)
        if any(one.verdict == "approximate" for one in here):
            return "approximate"
        seen = {one.element for one in here if one.verdict == "exact"}
        return "exact" if seen == _moving(group) else "unknown"

    def doubt(self, group: ActingGroup) -> str:
        """Why the verdict is unknown."""
        if self.problem is not None:
            return f"with the weights {self.state}: {self.problem}"
        here = self.at_output(group)
        missing = _moving(group) - {one.element for one in here}
        if missing:
            return f"how the output should move under {', '.join(sorted(missing))} is not known"
        return str(max((one for one in here if one.verdict == "unknown"), key=lambda one: one.error))


def judge(
    network: nn.Module,
    name: str,
    state: State,
    images: Tensor,
    group: ActingGroup,
    *,
    fan_in: int,
    output: Field,
    batches: Sequence[int] | None = None,
) -> Judgement:
    """Measure a network in one state and judge every deviation.

    Args:
        network: is left as it was.
        name: of the state, for texts.
        state: makes the tensors.
        images: at least two (images, channels, size, size).
        group: whose elements move the images.
        fan_in: N of the bound.
        output: how the output should transform.
        batches: sizes of the batches in which the images are shown, all at once where None; then the output alone is
            judged.
    """
    device = float64_device(network, images)

    def measured(dtype: torch.dtype) -> list[Deviation]:
        return deviations(network, state, images.to(device, dtype), group.elements, output, batches)

    try:
        fine = measured(torch.float64)
    except UnjudgedError as error:
        return Judgement(name, (), str(error))
    coarse: list[Deviation] = []
    if any(NEGLIGIBLE < one.error <= IN_DOUBT for one in fine):
        try:
            coarse = measured(torch.float32)
        except REFUSALS as error:  # without a float32 measurement beside it, an error in doubt stays in doubt
            raise_if_told_to_end(error)
    single = {(one.layer, one.element): one.error for one in coarse}
    judged = []
    for one in fine:
        bound, here = 2 * fan_in * ROUNDOFF * one.condition, single.get((one.layer, one.element))
        verdict = verdict_of(one.error, here, bound)
        judged.append(Judged(name, one.layer, one.element, one.error, bound, verdict, here))
    return Judgement(name, tuple(judged))


def verdict_of(error: float, single: float | None, bound: float) -> DecisionVerdict:
    """By the bound and, where the error in single precision is known, by how it falls."""
    if error <= NEGLIGIBLE and error <= bound:
        return "exact"
    if error > CEILING:
        return "approximate" if error > bound and not (single is not None and error * FALL <= single) else "unknown"
    if bound > CEILING or single is None:
        return "unknown"
    if error <= bound:
        return "exact" if error * ROUNDING_FALL <= single else "unknown"
    fell, rose = error * FALL <= single, single * FALL <= error
    return "unknown" if fell or rose else "approximate"


def _moving(group: ActingGroup) -> set[str]:
    return {element.name for element in group.elements if element != Element()}
