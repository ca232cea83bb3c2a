"""The audit of any network over input sizes: one row a size, from certificate and decision together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from operator import index
from typing import Literal

from torch import Tensor

from gcnnbench.equivariance.certificate.verdict import OTHER_AXES, Certificate
from gcnnbench.equivariance.channels import find_channels
from gcnnbench.equivariance.decision import DRAWN, GIVEN, ControlError, Decision, decide
from gcnnbench.equivariance.deviations import ONE_PIXEL
from gcnnbench.equivariance.exactness import Verdict, nearest_sizes, watch
from gcnnbench.equivariance.factories import Factory, Model, factory, name_of
from gcnnbench.equivariance.further_inputs import in_words
from gcnnbench.equivariance.results import CertificateVerdict, GridVerdict
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.unconverted import unconverted
from gcnnbench.errors import UserError
from gcnnbench.foreign_code import REFUSALS, said
from gcnnbench.nn.fields import Field, Invariant
from gcnnbench.nn.groups import P4, ActingGroup
from gcnnbench.nn.groups import group as group_of_name

Images = Callable[[int, int, int], Tensor]
"""Makes images (count, channels, size, size) from count, channels and size."""

SMALL = 64
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
    decision: Literal["exact", "approximate", "unknown", "inapplicable"] = "inapplicable"
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
        measured = ("invariance_error", "drawn_error", "reason", "inputs")
        row: dict[str, object] = {name: getattr(self, name) for name in names + measured}
        row["left_open"] = list(self.left_open)
        return row


@dataclass(frozen=True)
class Audit:
    """A network over input sizes, under one group. `claims` are the sizes at which it is said to be exact."""

    network: str
    acting_group: ActingGroup
    sizes: tuple[SizeAudit, ...]
    channels: int
    claims: tuple[int, ...] = ()

    @property
    def group(self) -> str:
        """The group's name."""
        return self.acting_group.name

    def document(self) -> dict[str, object]:
        """The JSON document."""
        return {"network": self.network, "group": self.group, "sizes": [row.document() for row in self.sizes]}

    @property
    def failures(self) -> tuple[str, ...]:
        """Claims that do not hold, and sizes at which certificate and decision contradict each other."""
        found = [f"{row.size}: {row.reason}" for row in self.sizes if row.disagreement]
        found += [
            f"{row.size}: claimed to be exact, but {row.decision}: {row.reason}"
            for row in self.sizes
            if row.size in self.claims and row.decision != "exact" and not row.disagreement
        ]
        return tuple(found)


def audit(
    model: Model,
    sizes: Iterable[int],
    group: ActingGroup | str = P4,
    *,
    channels: int | None = None,
    output: Field | None = None,
    images: Images = sample_images,
    name: str | None = None,
    claims: Iterable[int] = (),
    claims_trivial: bool = False,
    nearest: bool = False,
) -> Audit:
    """Judge a network at each of these input sizes.

    Args:
        model: a network that takes all sizes, or a class or function that makes one (`factories.factory`).
        sizes: heights and widths of square inputs.
        group: a subgroup of p4m, or circular shifts; or its name.
        channels: of the input; tried out (3, 1, 2, 4) where None.
        output: how the output should transform; invariant logits where None.
        images: makes real images; digits where not given.
        name: of the network, for tables.
        claims: sizes at which it is said to be exact.
        claims_trivial: whether it claims no symmetry at all.
        nearest: whether to look for the nearest sizes at which it is exact, where the grid is broken.

    Raises:
        UserError: it cannot be made at any of the sizes, no number of channels fits, or an argument is wrong.
        ControlError: a control network fell on the wrong side.
    """
    wanted, called = _sizes(sizes), name or name_of(model)
    if output is not None and not isinstance(output, Field):
        raise UserError(f"output (={output!r}) must be a field of gcnnbench.nn.fields, as ScalarField()")
    group = group_of_name(group) if isinstance(group, str) else group
    make = factory(model, name=called)
    if channels is None:
        channels = find_channels(make, wanted, called)
    group = group if len(group) > 1 else P4
    rows = [audit_size(make, size, group, channels, output, images, claims_trivial) for size in wanted]
    if nearest:
        rows = [_with_nearest(row, make, group, channels, output, images) for row in rows]
    return Audit(called, group, tuple(rows), channels, tuple(claims))


def _sizes(given: Iterable[int]) -> tuple[int, ...]:
    """The input sizes, at least one; a user's mistake where these are none."""
    try:
        sizes = tuple(map(index, given))
    except TypeError:
        sizes = ()
    if min(sizes, default=0) < 1:
        raise UserError(
            f"sizes (={given!r}) must be at least one input size, a whole number, as in [32] or range(24, 41)"
        )
    return sizes


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
    return SizeAudit(
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
        advice=_advice(seen, output) if measured.verdict == "approximate" else None,
        seen=seen,
        measured=measured,
    )


def _advice(seen: Certificate, output: Field | None) -> str | None:
    """What should be asked of an output with pixels instead, where it is judged as what it is not."""
    if seen.gives_map and isinstance(output, Invariant | None):
        return MAP
    return OTHER_AXES if OTHER_AXES in seen.reasons else None


def _with_nearest(
    row: SizeAudit, make: Factory, group: ActingGroup, channels: int, output: Field | None, images: Images
) -> SizeAudit:
    """The row with the nearest sizes whose grid is symmetric and at which the network is measured exact."""
    if row.seen is None or row.decision == "exact":
        return replace(row, nearest=(row.size,) if row.decision == "exact" else ())
    found = nearest_sizes(make, images(2, channels, row.size), group.elements, row.seen)
    exact = (size for size in found if audit_size(make, size, group, channels, output, images).decision == "exact")
    return replace(row, nearest=tuple(exact))
