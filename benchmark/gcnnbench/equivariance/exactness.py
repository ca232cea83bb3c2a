"""Exact or approximate, in one call: the certificate and the decision, and what the two say together.

They may contradict each other. Then one of them is wrong; both are kept, and no table believes either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from torch import Tensor, nn

from gcnnbench.equivariance.certificate.verdict import Certificate, certify, example
from gcnnbench.equivariance.decision import Decision, decide
from gcnnbench.equivariance.precision import device_of, dtype_of
from gcnnbench.equivariance.results import CertificateVerdict, Exactness
from gcnnbench.foreign_code import REFUSALS
from gcnnbench.nn.fields import Field
from gcnnbench.nn.groups import P4, ActingGroup, Element
from gcnnbench.outside_text import as_line

REACH = 16
"""How far from a size the nearest ones with a symmetric grid are looked for."""


@dataclass(frozen=True)
class Verdict:
    """Certificate and decision of a network at one size, together."""

    certificate: Certificate
    decision: Decision

    @property
    def certified(self) -> CertificateVerdict:
        """What the certificate says; it followed one batch, and so cannot know of what breaks in other ones only."""
        return "unknown" if self.decision.other_batches else self.certificate.verdict

    @property
    def contradictory(self) -> bool:
        """Whether one says exact and the other approximate: one of them is wrong."""
        return {self.certified, self.decision.verdict} == {"exact", "approximate"}

    @property
    def first_break(self) -> str | None:
        """Where an output that is not exact breaks: the first sampling whose grid is broken, else the first layer.

        Where the grid is broken, a layer before it may be measured to break as well; `reason` names it.
        """
        if self.decision.verdict == "exact":
            return None
        seen = self.certificate.first_break
        return seen.layer if seen else self.decision.first_break

    @property
    def reason(self) -> str | None:
        """Why, in words; None where everything is known to be equivariant."""
        seen, measured = self.certificate, self.decision
        reasons = [*seen.reasons[:1], *([measured.reason] if measured.reason else [])]
        if self.contradictory:
            reasons.insert(
                0, f"the certificate says {seen.verdict} and the decision {measured.verdict}, one of them is wrong"
            )
        if measured.recovered:
            reasons.append(f"broken below and recovered at the output: {', '.join(measured.recovered)}")
        if seen.changes_input is not None:
            reasons.append(f"the network changes its input in place ({seen.changes_input}); it was given copies")
        return "; ".join(reasons) or None


def exactness(
    network: nn.Module, images: Tensor, group: ActingGroup, claims_trivial: bool = False, *, output: Field | None = None
) -> Exactness:
    """Judge a network at the size of these images; it is left as it was.

    Args:
        network: a network on any device, in any mode.
        images: at least two real images (images, channels, size, size), as the network takes them.
        group: the group it is judged under; the trivial group is judged under p4, on which it claims nothing.
        claims_trivial: whether the network claims no symmetry, so that its certificate is *none*.
        output: how the output should transform, invariant logits where None.

    Raises:
        ControlError: a control network fell on the wrong side.
    """
    group = group if len(group) > 1 else P4
    certificate = watch(network, images, group.elements, output)
    found = Verdict(certificate, decide(network, images, group, fan_in=certificate.fan_in, output=output))
    return Exactness(
        grid=certificate.grid,
        certificate="none" if claims_trivial else found.certified,
        decision=found.decision.verdict,
        first_break=as_line(found.first_break) if found.first_break else None,
        error=found.decision.error,
        nearest_exact_sizes=nearest_sizes(lambda _: network, images, group.elements, certificate),
        reason=as_line(found.reason or "") or None,
    )


def watch(
    network: nn.Module,
    images: Tensor,
    elements: Sequence[Element],
    output: Field | None = None,
    size: int | None = None,
) -> Certificate:
    """The certificate at the size of these images or at another one; only their shape is used.

    They are shown in the arithmetic of most of the network's numbers, or else in that of its first parameter: which of
    them it takes is not known where it has several.

    Raises:
        Exception: whatever the network raises at this input size.
    """
    side, device = size or images.shape[-1], device_of(network, images)
    prevailing = dtype_of(network, images)
    first = next((one.dtype.to_real() for one in network.parameters() if one.is_floating_point()), prevailing)
    try:
        return certify(network, example(images.shape[1], side, prevailing, device), elements, output)
    except REFUSALS as error:
        if first == prevailing:
            raise
        with suppress(*REFUSALS):
            return certify(network, example(images.shape[1], side, first, device), elements, output)
        raise error from None


def nearest_sizes(
    make: Callable[[int], nn.Module],
    images: Tensor,
    elements: Sequence[Element],
    certificate: Certificate,
) -> tuple[int, ...]:
    """The nearest input sizes with a symmetric grid: this one, or the next below and the next above it.

    Sizes that the network cannot take are passed over. Empty where the grid is unknown here or broken all around.

    Args:
        make: the network for a size.
        images: of the size that was judged.
        elements: the group's elements.
        certificate: at that size.
    """
    size = images.shape[-1]
    if certificate.grid == "symmetric":
        return (size,)
    if certificate.grid == "unknown":
        return ()
    below, above = range(size - 1, max(1, size - 1 - REACH), -1), range(size + 1, size + 1 + REACH)
    found = (
        next((near for near in sizes if _symmetric(make, images, elements, near)), None) for sizes in (below, above)
    )
    return tuple(near for near in found if near is not None)


def _symmetric(make: Callable[[int], nn.Module], images: Tensor, elements: Sequence[Element], size: int) -> bool:
    try:
        return watch(make(size), images, elements, size=size).grid == "symmetric"
    except REFUSALS:
        return False
