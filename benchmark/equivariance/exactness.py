"""Exact or approximate, in one call: the certificate, the decision, and what to do when they contradict each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from benchmark.equivariance.certificate import Certificate, certify, example
from benchmark.equivariance.decision import Decision, decide
from benchmark.equivariance.precision import device_of, tensors
from benchmark.equivariance.results import CertificateVerdict, Exactness
from benchmark.errors import UserError
from benchmark.nn.fields import Field
from benchmark.nn.groups import P4, Element, Group
from benchmark.outside_text import as_line

REACH = 16
REFUSALS = (
    RuntimeError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    UserError,
)
"""What a network may raise at a size that it cannot take; its choice is its own."""


class DisagreementError(RuntimeError):
    """Certificate and decision contradict each other: one of them is wrong, and no result may be drawn.

    Args:
        certificate: what the operations say.
        decision: what measurement says.
    """

    def __init__(self, certificate: Certificate, decision: Decision) -> None:
        super().__init__(
            f"the certificate says {certificate.verdict} and the decision {decision.verdict}: "
            f"{'; '.join(certificate.reasons) or 'every operation is known to be equivariant'}; "
            f"{decision.reason or f'the largest error is {decision.error}'}. Please report this network."
        )
        self.certificate, self.decision = certificate, decision


def contradict(certificate: Certificate, decision: Decision) -> bool:
    """Whether one says exact and the other approximate."""
    return {certificate.verdict, decision.verdict} == {"exact", "approximate"}


def exactness(
    network: nn.Module, images: Tensor, group: Group, claims_trivial: bool = False, *, output: Field | None = None
) -> Exactness:
    """Judge a network at the size of these images; it is left as it was.

    Args:
        network: a network on any device, in any mode.
        images: at least two real images (images, channels, size, size), as the network takes them.
        group: the group it is judged under; the trivial group is judged under p4, on which it claims nothing.
        claims_trivial: whether the network claims no symmetry, so that its certificate is *none*.
        output: how the output should transform, invariant logits where None.

    Raises:
        DisagreementError: certificate and decision contradict each other.
        ControlError: a control network fell on the wrong side.
    """
    group = group if len(group) > 1 else P4
    certificate = watch(network, images, group.elements, output)
    decision = decide(network, images, group, fan_in=certificate.fan_in, output=output)
    if contradict(certificate, decision):
        raise DisagreementError(certificate, decision)
    verdict: CertificateVerdict = "none" if claims_trivial else certificate.verdict
    first = certificate.first_break.layer if certificate.first_break else decision.first_break
    reasons = [*certificate.reasons[:1], *([decision.reason] if decision.reason else [])]
    return Exactness(
        grid=certificate.grid,
        certificate=verdict,
        decision=decision.verdict,
        first_break=as_line(first) if first else None,
        error=decision.error,
        nearest_exact_sizes=nearest_sizes(lambda _: network, images, group.elements, certificate),
        reason=as_line("; ".join(reasons)) or None,
    )


def watch(
    network: nn.Module,
    images: Tensor,
    elements: Sequence[Element],
    output: Field | None = None,
    size: int | None = None,
) -> Certificate:
    """The certificate at the size of these images or at another one; only their shape is used.

    Raises:
        Exception: whatever the network raises at this input size.
    """
    dtype = next((tensor.dtype for tensor in tensors(network).values() if tensor.is_floating_point()), images.dtype)
    shown = example(images.shape[1], size or images.shape[-1], dtype, device_of(network, images))
    return certify(network, shown, elements, output)


def nearest_sizes(
    make: Callable[[int], nn.Module],
    images: Tensor,
    elements: Sequence[Element],
    certificate: Certificate,
    reach: int = REACH,
) -> tuple[int, ...]:
    """The nearest input sizes with a symmetric grid: this one, or the next below and the next above it.

    Sizes that the network cannot take are passed over. Empty where the grid is unknown here or broken all around.

    Args:
        make: the network for a size.
        images: of the size that was judged.
        elements: the group's elements.
        certificate: at that size.
        reach: how far to look.
    """
    size = images.shape[-1]
    if certificate.grid == "symmetric":
        return (size,)
    if certificate.grid == "unknown":
        return ()
    below, above = range(size - 1, max(0, size - 1 - reach), -1), range(size + 1, size + 1 + reach)
    found = (
        next((near for near in sizes if _symmetric(make, images, elements, near)), None) for sizes in (below, above)
    )
    return tuple(near for near in found if near is not None)


def _symmetric(make: Callable[[int], nn.Module], images: Tensor, elements: Sequence[Element], size: int) -> bool:
    try:
        return watch(make(size), images, elements, size=size).grid == "symmetric"
    except REFUSALS:
        return False
