"""Compares a record with a new scoring of its weights: the grade *re-scored*."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isclose
from typing import Any

from torch import Tensor

from gcnnbench.determinism.float_noise import (
    MOST_TIED,
    centred,
    choices,
    one_hot,
    orders,
    ties,
    too_many,
    unexplained,
)
from gcnnbench.equivariance.results import EquivarianceState, Exactness
from gcnnbench.formatting import how_many, share
from gcnnbench.record_checks.conditions import Outcome
from gcnnbench.record_checks.rescoring import Scores, Start
from gcnnbench.runs.measuring import Measured
from gcnnbench.runs.record import Record

CLOSE, ZERO = 1e-6, 1e-9
"""Errors of equivariance are measured in float64: they repeat to a millionth, and below a thousand-millionth are 0."""
JUDGED = ("grid", "certificate", "decision", "first_break", "nearest_exact_sizes")


def compare(record: Record, scores: Scores, outputs: Mapping[str, Tensor]) -> Outcome:
    """Hold a record against its weights.

    Args:
        record: the record.
        scores: what its weights give.
        outputs: the record's kept outputs; empty where they are not here.
    """
    measured = record.equivariance
    findings = [
        *_start(record, scores.start),
        *_equivariance("after", measured.after, measured.exactness_after, scores.after),
        *_cost(record, scores),
        *other_readings(record.probes, scores.probes, "probes"),
        *_validation(record, scores),
        *_counts(record, scores),
        *_outputs(record, scores, outputs),
    ]
    checked, unchecked = tuple(_checked(record, scores, outputs)), tuple(_unchecked(record, scores))
    return Outcome(tuple(findings), checked, unchecked, tuple(_left_open(record, scores)))


def _checked(record: Record, scores: Scores, outputs: Mapping[str, Tensor]) -> Iterator[str]:
    if scores.start is not None and scores.start.origin.told:
        yield "seed"
    if record.equivariance.after.dtype == scores.after.state.dtype:
        yield "equivariance and exactness"
    yield from ("parameters", "MACs")
    if scores.probes is not None:
        yield f"probes ({', '.join(scores.probes)})"
    if scores.validation is not None:
        yield "validation accuracy"
    tied = ties([choices(found, scores.tolerance) for found in (*scores.elements.values(), *scores.angles.values())])
    also = " with their logits" if outputs else ""
    close = f", {tied} within float noise of a tie" if tied else ""
    yield f"{_told(list(scores.elements), len(scores.angles))}: {how_many(len(scores.labels), 'image')}{also}{close}"


def _unchecked(record: Record, scores: Scores) -> Iterator[str]:
    if scores.start is None:
        yield "seed and equivariance before training: made with an earlier version of the model, which began otherwise"
    elif not scores.start.origin.told:
        yield "seed, as the weights keep no trace of their initial values"
    if record.equivariance.after.dtype != scores.after.state.dtype:
        yield f"equivariance, measured in {record.equivariance.after.dtype}, here in {scores.after.state.dtype}"
    elements = [name for name in record.counts.elements if name not in scores.elements]
    angles = 0 if scores.angles else len(record.counts.angles) - 1
    if elements or angles:
        yield _told(elements, angles)


def _left_open(record: Record, scores: Scores) -> Iterator[str]:
    """The condition with the most ties, and the order of scores, where float noise leaves so many open."""
    found = {**scores.elements, **{f"{angle}°": logits for angle, logits in scores.angles.items()}}
    if scores.validation is not None:
        found["validation"] = scores.validation[1]
    tied = {name: ties([choices(logits, scores.tolerance)]) for name, logits in found.items()}
    most = max(tied, key=lambda name: tied[name] / len(found[name]))
    images, allowed = len(found[most]), f"at most {share(MOST_TIED, 0)}% may be, or agreement shows nothing"
    if too_many(tied[most], images):
        yield f"{most}: {tied[most]} of {how_many(images, 'image')} within float noise of a tie, and {allowed}"
    if record.counts.ordered is not None:
        order = orders(scores.elements["upright"], scores.labels, scores.tolerance)
        if too_many(order.free, order.pairs):
            yield f"order: {order.free} of {how_many(order.pairs, 'pair')} within float noise of a tie, and {allowed}"


def _told(elements: list[str], angles: int) -> str:
    return ", ".join([*elements, *([f"{how_many(angles, 'angle')} of the curve"] if angles else [])])


def _start(record: Record, start: Start | None) -> Iterator[str]:
    if start is None:
        return
    if start.origin.other is not None:
        yield f"weights: trained from the initial weights of seed {start.origin.other}, not {record.seed}"
    measured = record.equivariance
    yield from _equivariance("before", measured.before, measured.exactness_before, start.equivariance)


def _equivariance(when: str, stated: EquivarianceState, exact: Exactness | None, found: Measured) -> Iterator[str]:
    """Where the record's errors and its exactness are not those that are measured now."""
    if stated.dtype != found.state.dtype:
        return  # a device without float64: other numbers
    numbers = _numbers(stated, exact)
    again = _numbers(found.state, found.exactness if exact is not None else None)
    if list(numbers) != list(again):
        yield f"equivariance.{when}.depths: {', '.join(depth.depth for depth in stated.depths)} are not the network's"
        return
    for name, then in numbers.items():
        if not same_error(then, again[name]):
            yield f"equivariance.{when}.{name}: {then}, but measured again it is {again[name]}"
    for field in JUDGED if exact is not None else ():
        then, now = getattr(exact, field), getattr(found.exactness, field)
        if then != now:
            yield f"equivariance.exactness_{when}.{field}: {then}, but judged again it is {now}"


def _numbers(state: EquivarianceState, exact: Exactness | None) -> dict[str, float | None]:
    depths = {f"depths.{depth.depth}.{form}": getattr(depth, form) for depth in state.depths for form in FORMS}
    judged = {} if exact is None else {"exactness.error": exact.error}
    return {"invariance_error": state.invariance_error, "flips": state.flips, **depths, **judged}


FORMS = ("paper", "relative")
"""The two forms of the equivariance error at a depth."""


def same_error(then: float | None, now: float | None) -> bool:
    """Whether two measurements of one equivariance error in float64 agree; a missing one only with a missing one."""
    if then is None or now is None:
        return then is now
    return isclose(then, now, rel_tol=CLOSE, abs_tol=ZERO)


def _cost(record: Record, scores: Scores) -> Iterator[str]:
    if record.cost.parameters != scores.parameters:
        yield f"cost.parameters: {record.cost.parameters}, but the network has {scores.parameters}"
    if record.cost.macs != scores.macs:
        yield f"cost.macs: {record.cost.macs}, but one image takes {scores.macs}"


def other_readings(stated: Any, found: Any, where: str) -> Iterator[str]:
    """Readings of probes that the stored weights do not give: other names, or numbers further off than they repeat.

    Args:
        stated: what the record has, null where it has none.
        found: what is read now.
        where: their name in messages.
    """
    if isinstance(found, Mapping) and isinstance(stated, Mapping) and set(found) == set(stated):
        for name in found:
            yield from other_readings(stated[name], found[name], f"{where}.{name}")
    elif isinstance(found, list) and isinstance(stated, list) and len(found) == len(stated):
        for index, (one, other) in enumerate(zip(stated, found, strict=True)):
            yield from other_readings(one, other, f"{where}[{index}]")
    elif isinstance(found, float) and isinstance(stated, int | float):
        if not same_error(stated, found):
            yield f"{where}: {stated}, but the stored weights give {found}"
    elif found != stated:
        yield f"{where}: {stated}, but the stored weights give {found}"


def _validation(record: Record, scores: Scores) -> Iterator[str]:
    """The validation accuracy of the tested epoch is that of the weights on this seed's validation images."""
    if scores.validation is None:
        return
    labels, found = scores.validation
    choice, truth = choices(found, scores.tolerance), one_hot(labels, found.shape[1])
    possible = (choice & truth).any(1)
    least, most = int((possible & (choice.sum(1) == 1)).sum()), int(possible.sum())
    stated = record.training.history[record.training.tested_epoch - 1].validation_accuracy or 0.0
    if not least - 0.5 < stated * len(labels) < most + 0.5:
        yield (
            f"training.history: validation accuracy {stated} in the tested epoch {record.training.tested_epoch}, but "
            f"the stored weights reach {least / len(labels)} on the validation images of seed {record.seed}"
        )


def _counts(record: Record, scores: Scores) -> Iterator[str]:
    """Counts that no choice among ties explains."""
    counts = record.counts
    truth = one_hot(scores.labels, len(counts.elements["upright"]))
    upright: Tensor | None = None
    for name, found in scores.elements.items():
        choice = choices(found, scores.tolerance)
        if off := unexplained(counts.elements[name], truth, choice):
            yield f"counts.elements.{name}: {how_many(off, 'image')} put elsewhere by the stored weights, ties apart"
        if upright is None:
            upright = choice
        elif off := unexplained(counts.flips[name], upright, choice):
            yield f"counts.flips.{name}: {how_many(off, 'pair')} of classes changed by the stored weights, ties apart"
    for name, found in scores.angles.items():
        if off := unexplained(counts.angles[name], truth, choices(found, scores.tolerance)):
            yield f"counts.angles.{name}: {how_many(off, 'image')} put elsewhere by the stored weights, ties apart"
    if counts.ordered is not None:
        order = orders(scores.elements["upright"], scores.labels, scores.tolerance)
        if not order.explain(counts.ordered):
            then = f"{counts.ordered.concordant} concordant and {counts.ordered.tied} tied"
            yield f"counts.ordered: {then}, but the weights give {order}"


def _outputs(record: Record, scores: Scores, outputs: Mapping[str, Tensor]) -> Iterator[str]:
    """Kept logits that are further off than float noise, and kept classes that are no tie."""
    if not outputs:
        return
    for name, kept in zip(record.counts.elements, outputs["logits"], strict=True):
        if name in scores.elements:
            most = float((centred(kept) - centred(scores.elements[name])).abs().max())
            if most > scores.tolerance:
                yield f"outputs: logits {name} are {most:.1e} off, where float noise stays below {scores.tolerance:.1e}"
    for name, classes in zip(record.counts.angles, outputs["angle_classes"], strict=True):
        if name in scores.angles:
            choice = choices(scores.angles[name], scores.tolerance)
            if other := int((~choice.gather(1, classes.long()[:, None])).sum()):
                yield f"outputs: {other} classes at {name}° are others, ties apart"
