"""One size of an audit in words: every operation that samples pixels, every known layer, and how to repair it."""

from __future__ import annotations

from collections.abc import Iterator

from gcnnbench.equivariance.audit import Audit, audit
from gcnnbench.equivariance.certificate.verdict import Certificate
from gcnnbench.equivariance.decision import Decision
from gcnnbench.equivariance.exactness import watch
from gcnnbench.equivariance.factories import Factory, Model, factory
from gcnnbench.equivariance.nearby import by_call
from gcnnbench.equivariance.repairs import Repair, repairs
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.size_audit import SizeAudit
from gcnnbench.equivariance.wording import MEANINGS, Words, words
from gcnnbench.nn.fields import Field
from gcnnbench.nn.groups import P4, ActingGroup


def explain(
    model: Model,
    size: int,
    group: ActingGroup = P4,
    *,
    channels: int | None = None,
    output: Field | None = None,
    name: str | None = None,
    claims_trivial: bool = False,
) -> str:
    """Walk through one input size and say in words what breaks there and what would mend it.

    Args:
        model: a network, or a class or function that makes one (`factories.factory`).
        size: height and width of the input.
        group: a subgroup of p4m.
        channels: of the input; tried out where None.
        output: how the output should transform; invariant logits where None.
        name: of the network.
        claims_trivial: whether it claims no symmetry at all.
    """
    found = audit(
        model,
        [size],
        group,
        channels=channels,
        output=output,
        name=name,
        claims_trivial=claims_trivial,
        nearest=True,
    )
    make, row = factory(model, name=found.network), found.sizes[0]
    verdict = words(found, row)
    mended: list[Repair] = []
    if verdict in ("approximate", "broken at every size"):
        mended = repairs(make, row, found.acting_group, found.channels, output=output)
    return "\n".join(_lines(found, row, make, verdict, mended))


def sizes_that_do(make: Factory, row: SizeAudit, channels: int, group: ActingGroup) -> list[str]:
    """For each of the nearest sizes that would do, what the breaking layers see there instead of what they see here."""
    if row.seen is None or row.decision == "exact":
        return []
    told = []
    for size in row.nearest:
        there = watch(make(size), sample_images(2, channels, size), group.elements)
        changes = _changes(row.seen, there, group)
        told.append(f"{size} instead of {row.size}: {', '.join(changes) or 'no operation breaks there'}")
    return told


def _changes(here: Certificate, there: Certificate, group: ActingGroup) -> list[str]:
    counterparts = by_call(there)
    return [
        f"{sampling.layer} sees {counterparts[call].rows.input} instead of {sampling.rows.input}"
        for call, sampling in by_call(here).items()
        if sampling.breaks(group.elements) and call in counterparts
    ]


def _lines(found: Audit, row: SizeAudit, make: Factory, verdict: Words, mended: list[Repair]) -> Iterator[str]:
    group = found.acting_group
    yield f"{found.network} at {row.size} under {found.group}: {verdict}"
    if verdict in MEANINGS and verdict != "inapplicable":
        yield f"({MEANINGS[verdict]})"
    if row.seen is None or row.measured is None:
        yield f"it cannot take this size: {row.reason}" if row.decision == "inapplicable" else str(row.reason)
        return
    yield f"grid {row.grid}, certificate {row.certificate}, decision {row.decision}"
    if row.reason:
        yield row.reason
    if row.decision == "exact":
        yield f"measured exact for inputs from {row.inputs}"
        yield from (f"left open {doubt}" for doubt in row.left_open)
    yield ""
    yield "operations that sample pixels:"
    for sampling in row.seen.samplings:
        broken = sampling.breaks(group.elements)
        yield f"  {'broken   ' if broken else 'symmetric' if broken is False else 'unknown  '}  {sampling}"
    if not row.seen.samplings:
        yield "  none"
    if row.certificate != "exact" and row.seen.reasons[1:]:
        yield ""
        yield "also:"
        yield from (f"  {reason}" for reason in row.seen.reasons[1:])
    yield ""
    yield "relative error of each layer whose action is known (weights as given, drawn anew; rounding stays below):"
    yield from _layers(row.measured)
    yield ""
    yield "subgroups: " + ", ".join(f"{name} {verdict}" for name, verdict in row.measured.subgroups.items())
    if row.decision == "approximate":
        yield ""
        yield from _repaired(row, sizes_that_do(make, row, found.channels, group), verdict, mended)


def _repaired(row: SizeAudit, sizes: list[str], verdict: Words, mended: list[Repair]) -> Iterator[str]:
    """What makes it exact, each tried; or that nothing was found."""
    if sizes:
        yield "sizes at which it is exact, measured:"
        yield from (f"  {line}" for line in sizes)
    elif row.advice:
        yield row.advice
    elif verdict == "not equivariant":
        yield "no input size repairs this: it is not exact where no sampling is known to break it either"
    elif verdict == "broken at every size":
        yield "no input size nearby repairs this: sampling breaks it at each that it takes"
    else:
        yield "no input size nearby repairs this"
    if mended:
        yield ""
        yield f"what makes it exact at {row.size}, each tried and measured:"
        for repair in mended:
            yield f"  {repair}"
            yield from (f"      {line}" for line in repair.code)


def _layers(measured: Decision) -> Iterator[str]:
    layers = list(dict.fromkeys(one.layer for one in measured.judged))
    width = max(map(len, layers), default=0)
    for layer in layers:
        here = [one for one in measured.judged if one.layer == layer]
        worst = [max((one.error for one in here if one.state == state), default=None) for state in ("given", "drawn")]
        errors = "  ".join("      –" if error is None else f"{error:7.1e}" for error in worst)
        mark = "broken" if any(one.verdict == "approximate" for one in here) else ""
        yield f"  {layer:<{width}}  {errors}  {max(one.bound for one in here):7.0e}  {mark}".rstrip()
