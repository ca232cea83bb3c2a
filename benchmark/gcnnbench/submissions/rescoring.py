"""Scores weights in a fresh process that holds no label, and counts what it gives against the true ones here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field, ValidationError
from torch import Tensor

from gcnnbench.cards.base import Model
from gcnnbench.cards.values import PlainData, Positive
from gcnnbench.data.parts import Part
from gcnnbench.determinism.float_noise import Orders, centred, choices, orders, root_mean_square, ties, too_many
from gcnnbench.formatting import how_many
from gcnnbench.nn.groups import group
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.measuring import Measured, Measurements
from gcnnbench.scoring.conditions import EvaluationState, count
from gcnnbench.scoring.metrics import Counts
from gcnnbench.submissions.cell_jobs import Tensors, read_report, run_job_or_refuse, scoring_seconds, unreadable
from gcnnbench.submissions.findings import Finding, Refused
from gcnnbench.submissions.sandbox import Code
from gcnnbench.submissions.tensor_names import WEIGHTS, prefixed

NOISE = 1e-4
"""Logits of one network computed twice, each image's mean taken off, may differ by this share of their root mean
square; float32 noise is below."""
TIES = 1e-3
"""Of classes under an angle, whose logits are not kept, this share may differ."""


class _Scoring(Model):
    """What the scoring process reports beside its tensors."""

    after: str
    parameters: Positive
    macs: Positive
    probes: PlainData | None = None
    test_seconds: Annotated[float, Field(gt=0)]
    scored: Positive


@dataclass(frozen=True)
class Scored:
    """The outputs of a network whose weights were scored in a process of their own, and what was measured there."""

    evaluation: EvaluationState
    measured: Measurements


def score(cell: Cell, code: Code, weights: Tensors, test: Part, *, trust: bool) -> Scored:
    """Score weights in a fresh process that holds no label.

    Args:
        cell: says benchmark and entry.
        code: the submission's files.
        weights: of its network, by name.
        test: the test share as the data set holds it; the process is given its images alone.
        trust: whether its code may run where there is no isolation.

    Raises:
        UserError: there is no isolation and no trust.
        Refused: the weights do not fit, a check found something wrong, or float noise may decide too much.
    """
    tensors = {"test.images": test.images} | prefixed(WEIGHTS, weights)
    outcome = run_job_or_refuse("score", cell, code, tensors, scoring_seconds(cell, len(test)), trust)
    report = read_report(_Scoring, outcome.report)
    evaluation = evaluation_of(cell, outcome.tensors, len(test))
    if tied := list(_ties(cell, evaluation, test.labels)):
        raise Refused(tied)
    evaluation.seconds, evaluation.scored = report.test_seconds, report.scored
    try:
        after = Measured.model_validate_json(report.after)
    except ValidationError as error:
        what = f"the equivariance that was measured ({how_many(error.error_count(), 'error')})"
        raise unreadable(what) from None
    return Scored(evaluation, Measurements(after, report.parameters, report.macs, report.probes))


def evaluation_of(cell: Cell, tensors: Tensors, images: int) -> EvaluationState:
    """The outputs that a process left.

    Raises:
        Refused: they are not those of the protocol (`outputs_of`).
    """
    found = outputs_of(cell, tensors, images)
    if found is None:
        raise unreadable("the outputs: not finite logits and classes of every image and condition")
    return found


def outputs_of(cell: Cell, tensors: Tensors, images: int) -> EvaluationState | None:
    """Outputs of shapes and types that the protocol determines, all in their ranges; None where they are others.

    Args:
        cell: says the protocol.
        tensors: `logits` (elements, images, classes) and `angle_classes` (angles, images).
        images: how many there are.
    """
    protocol = cell.card.evaluation
    elements, angles = [element.name for element in group(protocol.group).elements], protocol.curve.angles
    classes = cell.registry.dataset(cell.card.dataset).classes
    logits, chosen = tensors.get("logits"), tensors.get("angle_classes")
    if (
        logits is None
        or chosen is None
        or logits.shape != (len(elements), images, classes)
        or chosen.shape != (len(angles), images)
        or (logits.dtype, chosen.dtype) != (torch.float32, torch.int16)
        or not logits.isfinite().all()
        or not ((chosen >= 0) & (chosen < classes)).all()
    ):
        return None
    return EvaluationState(
        logits=dict(zip(elements, logits, strict=True)),
        classes=dict(zip(map(str, angles), chosen, strict=True)),
    )


def counts_of(cell: Cell, evaluation: EvaluationState, labels: Tensor) -> Counts:
    """What outputs give against the true labels (images,)."""
    card = cell.card
    return count(evaluation, labels, cell.registry.dataset(card.dataset).classes, auc=bool(card.evaluation.auc))


def differences(recorded: EvaluationState, found: EvaluationState) -> Iterator[str]:
    """Where two evaluations of what should be one network differ by more than float noise, in words."""
    for name, logits in recorded.logits.items():
        other = found.logits[name]
        allowed = NOISE * root_mean_square(other)
        most = float((centred(logits) - centred(other)).abs().max())
        if not most <= allowed:
            yield f"logits {name} are {most:.1e} off, and float noise is below {allowed:.1e}"
    for angle, classes in recorded.classes.items():
        off = int((classes != found.classes[angle]).sum())
        if off > TIES * len(classes):
            yield f"put into other classes at {angle}°: {off} of {how_many(len(classes), 'image')}"


def other_order(stated: Counts, found: EvaluationState, labels: Tensor) -> Iterator[str]:
    """Where the order of scores that a bundle states is not that of the logits found here, float noise apart."""
    if stated.ordered is not None and not (order := _orders(found, labels)).explain(stated.ordered):
        then = f"{stated.ordered.concordant:,} concordant and {stated.ordered.tied:,} tied"
        yield f"of {how_many(order.pairs, 'pair')} of images {order}, not {then}"


def _orders(found: EvaluationState, labels: Tensor) -> Orders:
    upright = next(iter(found.logits.values()))
    return orders(upright, labels, NOISE * root_mean_square(upright))


def _ties(cell: Cell, found: EvaluationState, labels: Tensor) -> Iterator[Finding]:
    """The condition with the most images whose class float noise may decide, and the pairs that the AUC counts.

    Pairs of scores that are equal to the bit are no such: they are ties, which the AUC counts one half (`other_order`).
    """
    apart = f"by more than {NOISE:g} of the logits' root mean square"
    tied = {name: ties([choices(one, NOISE * root_mean_square(one))]) for name, one in found.logits.items()}
    name = max(tied, key=tied.__getitem__)
    images = len(found.logits[name])
    if too_many(tied[name], images):
        what = f"{cell.name}: under {name} two classes are equal but for float noise for {tied[name]} of "
        remedy = f"tell the classes apart {apart}"
        yield Finding(check="ties", what=f"{what}{how_many(images, 'image')}", remedy=remedy)
    if not cell.card.evaluation.auc:
        return
    order = _orders(found, labels)
    if too_many(order.free, order.pairs):
        counted = f"the {how_many(order.pairs, 'pair')} of images that the AUC counts"
        what = f"{cell.name}: float noise may order {order.free:,} of {counted}"
        yield Finding(check="ties", what=what, remedy=f"tell the images of the two classes apart {apart}")
