"""The audit of any network over input sizes: one row a size, from certificate and decision together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn

from benchmark.equivariance.certificate import Certificate
from benchmark.equivariance.decision import ControlError, Decision, decide
from benchmark.equivariance.exactness import REFUSALS, contradict, nearest_sizes, watch
from benchmark.equivariance.results import CertificateVerdict, GridVerdict
from benchmark.equivariance.sample import sample_images
from benchmark.errors import UserError
from benchmark.nn.fields import Field
from benchmark.nn.groups import P4, Group

Factory = Callable[[int], nn.Module]
"""Makes the network for an input size."""

Images = Callable[[int, int, int], Tensor]
"""Makes images (count, channels, size, size) from count, channels and size."""

SMALL = 64


@dataclass(frozen=True)
class SizeAudit:
    """One size of an audit.

    Args:
        size: height and width of the input.
        grid: of the certificate.
        certificate: whether the operations are known to be equivariant.
        decision: whether measurement finds the network equivariant; *inapplicable* where it cannot take the size.
        first_break: the first layer that breaks the symmetry.
        invariance_error: the largest relative error at the output with the weights as given.
        reason: why, in words.
        nearest: the nearest sizes with a symmetric grid.
        disagreement: whether certificate and decision contradict each other.
        seen: the certificate behind it.
        measured: the decision behind it.
    """

    size: int
    grid: GridVerdict = "unknown"
    certificate: CertificateVerdict = "unknown"
    decision: Literal["exact", "approximate", "unknown", "inapplicable"] = "inapplicable"
    first_break: str | None = None
    invariance_error: float | None = None
    reason: str | None = None
    nearest: tuple[int, ...] = ()
    disagreement: bool = False
    seen: Certificate | None = field(default=None, repr=False)
    measured: Decision | None = field(default=None, repr=False)

    def document(self) -> dict[str, object]:
        """The row of the JSON document."""
        names = ("size", "grid", "certificate", "decision", "first_break", "invariance_error", "reason")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Audit:
    """A network over input sizes, under one group. `claims` are the sizes at which it is said to be exact."""

    network: str
    group: str
    sizes: tuple[SizeAudit, ...]
    channels: int
    claims: tuple[int, ...] = ()

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
    model: nn.Module | Factory,
    sizes: Iterable[int],
    group: Group = P4,
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
        model: a network that takes all sizes, or a function that makes one for a size.
        sizes: heights and widths of square inputs.
        group: a subgroup of p4m.
        channels: of the input; tried out (3, 1, 2, 4) where None.
        output: how the output should transform; invariant logits where None.
        images: makes real images; digits where not given.
        name: of the network, for tables.
        claims: sizes at which it is said to be exact.
        claims_trivial: whether it claims no symmetry at all.
        nearest: whether to look for the nearest sizes with a symmetric grid where it is broken.

    Raises:
        UserError: no number of channels fits at any size, or there are no sizes.
        ControlError: a control network fell on the wrong side.
    """
    make: Factory = (lambda _: model) if isinstance(model, nn.Module) else model
    wanted = tuple(sizes)
    if not wanted:
        raise UserError("an audit needs at least one input size, as in sizes=range(24, 41)")
    if channels is None:
        channels = _channels(make, wanted)
    group = group if len(group) > 1 else P4
    rows = [_audit_size(make, size, group, channels, output, images, claims_trivial, nearest) for size in wanted]
    called = name or str(getattr(model, "__name__", type(model).__name__))
    return Audit(called, group.name, tuple(rows), channels, tuple(claims))


def _channels(make: Factory, sizes: Sequence[int]) -> int:
    problems: list[str] = []
    for size in sizes:
        try:
            network = make(size)
        except REFUSALS as error:
            problems.append(f"{size}: {_said(error)}")
            continue
        for channels in (3, 1, 2, 4):
            try:
                watch(network, sample_images(2, channels, size), P4.elements)
            except REFUSALS as error:
                problems.append(f"{size} with {channels} channels: {_said(error)}")
            else:
                return channels
    raise UserError(f"the network takes none of the sizes with 1 to 4 channels: say how many it has ({problems[-1]})")


def _audit_size(
    make: Factory,
    size: int,
    group: Group,
    channels: int,
    output: Field | None,
    images: Images,
    claims_trivial: bool,
    nearest: bool,
) -> SizeAudit:
    shown = images(4 if size <= SMALL else 2, channels, size)
    try:
        network = make(size)
        seen = watch(network, shown, group.elements, output)
    except REFUSALS as error:
        return SizeAudit(size, reason=_said(error), certificate="none" if claims_trivial else "unknown")
    try:
        measured = decide(network, shown, group, fan_in=seen.fan_in, output=output)
    except ControlError:
        raise
    except REFUSALS as error:  # it ran on noise in its own arithmetic, so this is no matter of the size
        return SizeAudit(
            size,
            grid=seen.grid,
            certificate="none" if claims_trivial else seen.verdict,
            decision="unknown",
            reason=f"it could not be measured in float64: {_said(error)}",
            seen=seen,
        )
    disagreement = contradict(seen, measured)
    first = seen.first_break.layer if seen.first_break else measured.first_break
    reasons = [*seen.reasons[:1], *([measured.reason] if measured.reason else [])]
    if disagreement:
        reasons.insert(
            0, f"the certificate says {seen.verdict} and the decision {measured.verdict}, one of them is wrong"
        )
    return SizeAudit(
        size,
        grid=seen.grid,
        certificate="none" if claims_trivial else seen.verdict,
        decision=measured.verdict,
        first_break=first,
        invariance_error=measured.invariance_error,
        reason="; ".join(reasons) or None,
        nearest=nearest_sizes(make, shown, group.elements, seen) if nearest else (),
        disagreement=disagreement,
        seen=seen,
        measured=measured,
    )


def _said(error: BaseException) -> str:
    first = (str(error).strip().splitlines() or ["without a word"])[0][:300]
    return first if isinstance(error, UserError) else f"{type(error).__name__}: {first}"
