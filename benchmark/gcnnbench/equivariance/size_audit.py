"""One size of an audit of any network: certificate and decision together, and what else should be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

from torch import Tensor

from gcnnbench.equivariance.certificate.verdict import OTHER_AXES, Certificate
from gcnnbench.equivariance.decision import DRAWN, GIVEN, ControlError, Decision, decide
from gcnnbench.equivariance.deviations import ONE_PIXEL
from gcnnbench.equivariance.exactness import Verdict, watch
from gcnnbench.equivariance.factories import Factory
from gcnnbench.equivariance.further_inputs import in_words
from gcnnbench.equivariance.results import CertificateVerdict, GridVerdict
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.unconverted import unconverted
from gcnnbench.foreign_code import REFUSALS, said
from gcnnbench.nn.fields import Field, Invariant
from gcnnbench.nn.groups import ActingGroup

SizeDecision = Literal["exact", "approximate", "unknown", "inapplicable"]

Images = Callable[[int, int, int], Tensor]
"""Makes images (count, channels, size, size) from count, channels and size."""

SMALL = 64
SINGLE = 2.0**-17
"""64 units of float32, by which numbers that were computed from others in float32 are off."""
IN_FLOAT32 = (
    "it deviates by no more than float32 resolves: something it computes with, as a bank of filters or a grid, may be "
    "made in float32; make it in float64 and ask again"
)
MAP = "the output is a map, judged as logits, which do not move: ask with --output scalar or output=ScalarField()"


@dataclass(frozen=True)
class SizeAudit:
    """One size of an audit.

    Args:
        size: height and width of the input.
        grid: of the certificate.
        certificate: whether the operations are known to be equivariant.
        decision: whether measurement finds the network equivariant; *inapplicable* where it cannot take the size.
        first_break: the first layer whose grid is broken, else the first that is measured to break; None where exact.
        recovered: layers that are broken below an exact output.
        invariance_error: the largest relative error at the output with the weights as given.
        drawn_error: the same with the weights drawn anew.
        reason: why, in words.
        nearest: the nearest sizes at which the network is measured exact.
        disagreement: whether certificate and decision contradict each other.
        advice: what else should be asked, in words.
        seen: the certificate behind it.
        measured: the decision behind it.
    """

    size: int
    grid: GridVerdict = "unknown"
    certificate: CertificateVerdict = "unknown"
    decision: SizeDecision = "inapplicable"
    first_break: str | None = None
    recovered: tuple[str, ...] = ()
    invariance_error: float | None = None
    drawn_error: float | None = None
    reason: str | None = None
    nearest: tuple[int, ...] = ()
    disagreement: bool = False
    advice: str | None = None
    seen: Certificate | None = field(default=None, repr=False)
    measured: Decision | None = field(default=None, repr=False)

    @property
    def error(self) -> float | None:
        """The relative error at the output that decided; None where shapes differ or nothing was measured."""
        deciding = self.measured.deciding if self.measured else None
        return None if deciding is None or deciding.error == float("inf") else deciding.error

    @property
    def as_fine_as_float32(self) -> bool:
        """Whether it deviates in every state, but by no more than numbers in float32 resolve."""
        errors = (self.error, self.invariance_error, self.drawn_error)
        return self.decision == "approximate" and all(error is not None and error <= SINGLE for error in errors)

    @property
    def settled(self) -> SizeDecision:
        """The decision; *unknown* where it says no more than that something was made in float32."""
        return "unknown" if self.as_fine_as_float32 else self.decision

    @property
    def inputs(self) -> str | None:
        """The ranges of values and the batch sizes for which the decision was measured, in words."""
        return in_words(self.measured.inputs) if self.measured else None

    @property
    def left_open(self) -> tuple[str, ...]:
        """The further inputs on which nothing could be told, with the reason."""
        return self.measured.left_open if self.measured else ()

    def document(self) -> dict[str, object]:
        """The row of the JSON document."""
        names = ("size", "grid", "certificate", "decision", "first_break")
        measured = ("invariance_error", "drawn_error", "reason", "advice", "inputs")
        row: dict[str, object] = {name: getattr(self, name) for name in names + measured}
        row["left_open"] = list(self.left_open)
        return row


def audit_size(
    make: Factory,
    size: int,
    group: ActingGroup,
    channels: int,
    output: Field | None = None,
    images: Images = sample_images,
    claims_trivial: bool = False,
) -> SizeAudit:
    """One row of an audit.

    Raises:
        ControlError: a control network fell on the wrong side.
    """
    claimed: CertificateVerdict = "none" if claims_trivial else "unknown"
    if size == 1:
        return SizeAudit(size, certificate=claimed, decision="unknown", reason=ONE_PIXEL)
    shown = images(4 if size <= SMALL else 2, channels, size)
    try:
        network = make(size)
        seen = watch(network, shown, group.elements, output)
    except REFUSALS as error:
        return SizeAudit(size, reason=said(error), certificate=claimed)
    certificate: CertificateVerdict = "none" if claims_trivial else seen.verdict
    try:
        measured = decide(network, shown, group, fan_in=seen.fan_in, output=output)
    except ControlError:
        raise
    except REFUSALS as error:  # so this is no matter of the size
        why = "; ".join(filter(None, (said(error), unconverted(network))))
        reason = f"it ran on noise in its own arithmetic, but not on the images in float64: {why}"
        return SizeAudit(size, seen.grid, certificate, decision="unknown", reason=reason, seen=seen)
    found = Verdict(seen, measured)
    row = SizeAudit(
        size,
        grid=seen.grid,
        certificate="none" if claims_trivial else found.certified,
        decision=measured.verdict,
        first_break=found.first_break,
        recovered=measured.recovered,
        invariance_error=measured.output_error(GIVEN),
        drawn_error=measured.output_error(DRAWN),
        reason=found.reason,
        disagreement=found.contradictory,
        seen=seen,
        measured=measured,
    )
    return replace(row, advice=_advice(row, seen, output) if measured.verdict == "approximate" else None)


def _advice(row: SizeAudit, seen: Certificate, output: Field | None) -> str | None:
    """What should be asked instead: of an output with pixels that is judged as what it is not, and in float64."""
    if row.as_fine_as_float32:
        return IN_FLOAT32
    if seen.gives_map and isinstance(output, Invariant | None):
        return MAP
    return OTHER_AXES if OTHER_AXES in seen.reasons else None
