"""Tries a submission: trains and scores it in isolation by the protocol, and makes its record from the outputs.

The training process gets no test image's label, and none of the submitted code where the network can be exported. Its
outputs are not believed: a fresh process scores the weights that it leaves, and what that gives is counted here against
the true labels.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeVar

import safetensors.torch
import torch
from pydantic import Field, ValidationError
from torch import Tensor

from gcnnbench.cards.base import Model
from gcnnbench.cards.values import Natural, PlainData, Positive
from gcnnbench.data.fitted import shares_of
from gcnnbench.data.registered import load_dataset
from gcnnbench.data.splits import Splits
from gcnnbench.device import CPU_SCORING_BATCH, arithmetic
from gcnnbench.formatting import how_many
from gcnnbench.nn.groups import group
from gcnnbench.outside_text import as_line
from gcnnbench.runs import provenance
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.finish import COMMITTED_WEIGHTS_BYTES, Finished, assemble
from gcnnbench.runs.measuring import Measured, Measurements
from gcnnbench.runs.record import Epoch, Outputs, sealed
from gcnnbench.runs.record import Weights as WeightsFile
from gcnnbench.runs.state import start
from gcnnbench.runs.weights_only import WeightsOnly, protocol_of
from gcnnbench.scoring.conditions import EvaluationState, count
from gcnnbench.scoring.metrics import Counts, metrics
from gcnnbench.submissions.findings import Finding, Refused
from gcnnbench.submissions.graph_form import Graphs
from gcnnbench.submissions.limits import Limits
from gcnnbench.submissions.sandbox import Code, Job, Outcome, run_isolated
from gcnnbench.training.task import TrainingState

MEMORY_BYTES = 2**33
CELL_SECONDS = 24 * 3600.0
"""The longest that a cell may take at all."""
SLACK_SECONDS, IMAGE_SECONDS, MACS_PER_SECOND = 600.0, 0.002, 1e9
"""What a job may take beside its passes, and for one image in a pass: a tenth of the speed of this suite's networks."""
BACKWARD = 3
"""A training step costs as much as so many forward passes."""
PROBE_SECONDS = 600.0
SLACK_BYTES = 2**28
PREFIX = "weights."
NOISE = 1e-4
"""Logits of one network computed twice may differ by this share of their root mean square; float32 noise is below."""
TIES = 1e-3
"""Of classes under an angle, whose logits are not kept, this share may differ."""

_ONE_AT_A_TIME = threading.Lock()
"""Torch's settings belong to the process, and several cells may be waited for in it."""

Weights = dict[str, Tensor]
Seconds = Annotated[float, Field(gt=0)]


class _Scoring(Model):
    """What the scoring process reports beside its tensors."""

    after: str
    parameters: Positive
    macs: Positive
    probes: PlainData | None = None
    test_seconds: Seconds
    scored: Positive


class _Course(Model):
    """What the training process reports beside the weights."""

    history: tuple[Epoch, ...]
    steps: Natural
    images_seen: Natural
    tested_epoch: Positive
    peak_memory: Natural


class _Exported(Model):
    """What the exporting process reports: errors before training, and the graphs or why there are none."""

    before: str
    graphs: Graphs | None
    reason: str


@dataclass(frozen=True)
class Scored:
    """The outputs of a network whose weights were scored in a process of their own, and what was measured there."""

    evaluation: EvaluationState
    measured: Measurements


def shares(cell: Cell) -> Splits:
    """The images of each share as the data set holds them.

    Raises:
        UserError: the data set is not here, or is damaged.
    """
    parts = load_dataset(cell.registry, cell.card.dataset, cell.data)
    return shares_of(cell.card, parts, cell.seed, cell.limit)


def scoring_seconds(cell: Cell, images: int) -> float:
    """The most that scoring so many images under every condition may take, by the MACs on the card."""
    protocol = cell.card.evaluation
    return _seconds(cell, images * (len(group(protocol.group).elements) + len(protocol.curve.angles)))


def training_seconds(cell: Cell, images: int, validated: int) -> float:
    """The most that training on so many images an epoch may take, by the MACs on the card."""
    return _seconds(cell, cell.card.recipe.epochs * (2 * BACKWARD * images + validated))


def _seconds(cell: Cell, passes: int) -> float:
    channels, classes = cell.card.input.channels, cell.registry.dataset(cell.card.dataset).classes
    wanted = (channels, classes, int(cell.entry.partition("@")[2]))
    macs = {(one.channels, one.classes, one.size): one.macs for one in cell.model.parameters}.get(wanted)
    if macs is None:
        return CELL_SECONDS
    return min(CELL_SECONDS, SLACK_SECONDS + passes * (IMAGE_SECONDS + macs / MACS_PER_SECOND))


def probe(cell: Cell, code: Code, weights: Weights, *, trust: bool) -> tuple[Finding, ...]:
    """Everything that can be known of an entry's network before training; an empty report is a finding, too."""
    sizes = sorted({*cell.model.claimed_at, int(cell.entry.partition("@")[2])})
    images = shares(cell).train.images[:64]
    tensors = {"images": images} | _prefixed(weights)
    outcome = _job("probe", cell, code, tensors, PROBE_SECONDS, trust, sizes=sizes)
    if not outcome.findings and not {"parameters", "macs"} <= set(outcome.report):
        remedy = "let the process run to its end"
        return (Finding(check="unreadable-result", what=f"{cell.entry}: the checks left no report", remedy=remedy),)
    return outcome.findings


def try_cell(cell: Cell, code: Code, *, trust: bool) -> Finished:
    """Train and score one cell in isolation.

    The network is built and exported beside its code; a second process, which has none of the code, trains and scores
    the graphs; a third scores the weights by the code again. What cannot be exported is trained beside its code, and
    the record says so.

    Args:
        cell: what to run; on the CPU.
        code: the submission's files.
        trust: whether its code may run where there is no isolation.

    Raises:
        UserError: the data is not here, or there is no isolation and no trust.
        Refused: a check found something wrong.
    """
    found = shares(cell)
    tensors = {"train.images": found.train.images, "train.labels": found.train.labels, "test.images": found.test.images}
    if found.validation is not None:
        tensors |= {"validation.images": found.validation.images, "validation.labels": found.validation.labels}
    state = start(cell)
    validated = 0 if found.validation is None else len(found.validation)
    seconds = training_seconds(cell, len(found.train), validated) + scoring_seconds(cell, len(found.test))
    given = {"test.images": found.test.images}
    exported = _accepted(cell, _job("export", cell, code, given, PROBE_SECONDS, trust, **_batches(cell, found)))
    network = _read(_Exported, exported.report)
    if network.graphs is None:
        outcome = _accepted(cell, _job("train", cell, code, tensors, seconds, trust))
    else:
        tensors |= {name: value for name, value in exported.tensors.items() if name.startswith("network.")}
        graphs = network.graphs.model_dump(mode="json")
        outcome = _accepted(cell, _job("train-graphs", cell, {}, tensors, seconds, trust, graphs=graphs))
    course = _read(_Course, outcome.report)
    weights = _weights(outcome.tensors)
    findings = list(_wrong_course(cell, len(found.train), course))
    if findings:
        raise Refused(findings)
    scored = score(cell, code, weights, found.test.images, trust=trust)
    _same_outputs(cell, _evaluation(cell, outcome.tensors, len(found.test)), scored.evaluation)
    state.before, state.peak_memory = network.before, course.peak_memory
    state.training = TrainingState(
        epochs_done=len(course.history),
        history=[epoch.model_dump() for epoch in course.history],
        steps=course.steps,
        images_seen=course.images_seen,
        tested_epoch=course.tested_epoch,
        tested_network=weights,
    )
    state.evaluation = scored.evaluation
    with _ONE_AT_A_TIME, arithmetic(torch.device(cell.device), "fp32", cell.threads):
        finished = assemble(cell, state, scored.measured, found.test.labels)
    if network.graphs is not None:
        return finished
    made = finished.record.provenance.model_copy(update={"beside_code": as_line(network.reason) or "not exported"})
    return replace(finished, record=sealed(finished.record.model_copy(update={"provenance": made})))


def why_not_exported(cell: Cell, code: Code, *, trust: bool) -> str:
    """Why a cell's network must be trained beside its code; empty where it need not.

    Raises:
        UserError: the data is not here, or there is no isolation and no trust.
        Refused: the network cannot be built or measured.
    """
    found = shares(cell)
    given = {"test.images": found.test.images}
    exported = _accepted(cell, _job("export", cell, code, given, PROBE_SECONDS, trust, **_batches(cell, found)))
    network = _read(_Exported, exported.report)
    return "" if network.graphs is not None else as_line(network.reason) or "it gives no reason"


def _batches(cell: Cell, found: Splits) -> dict[str, list[int]]:
    """The sizes of the batches that a cell is trained and scored in."""
    recipe, scoring = cell.card.recipe, CPU_SCORING_BATCH
    images = [len(share) for share in (found.validation, found.test) if share is not None]
    training = {min(recipe.batch_size, len(found.train))}
    if not recipe.drop_last:
        training.add(len(found.train) % recipe.batch_size)
    scored = {size for count in images for size in (min(scoring, count), count % scoring)}
    return {"training_batches": sorted(training - {0}), "scoring_batches": sorted(scored - {0})}


@dataclass(frozen=True)
class ScoredWeights:
    """What a network that came trained leaves: its score and the contents of the two safetensors files beside it."""

    score: WeightsOnly
    weights: bytes
    outputs: bytes


def score_weights(cell: Cell, code: Code, weights: Weights, *, trust: bool) -> ScoredWeights:
    """Score weights that came with a submission; nothing is trained.

    Args:
        cell: says benchmark and entry; its seed chooses the test images where the split depends on one.
        code: the submission's files.
        weights: of its network, by name.
        trust: whether its code may run where there is no isolation.

    Raises:
        UserError: the data is not here, or there is no isolation and no trust.
        Refused: the weights do not fit, or a check found something wrong.
    """
    test, card = shares(cell).test, cell.card
    found = score(cell, code, weights, test.images, trust=trust)
    counts, after = counts_of(cell, found.evaluation, test.labels), found.measured.after
    content = safetensors.torch.save(weights)
    outputs = safetensors.torch.save(
        {
            "logits": torch.stack(list(found.evaluation.logits.values())),
            "angle_classes": torch.stack(list(found.evaluation.classes.values())),
            "labels": test.labels,
        }
    )
    made = WeightsOnly(
        schema_version=1,
        benchmark=card.full_name,
        entry=cell.entry,
        protocol=protocol_of(cell.spec),
        trained_on=cell.model.trained_on or "",
        metrics=metrics(counts, card.evaluation.seen, invariance_error=after.state.invariance_error),
        counts=counts,
        equivariance=after.state,
        exactness=after.exactness,
        parameters=found.measured.parameters,
        macs=found.measured.macs,
        environment=provenance.versions(),
        scored=provenance.now(),
        weights=WeightsFile(
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            committed=len(content) <= COMMITTED_WEIGHTS_BYTES,
        ),
        outputs=Outputs(sha256=hashlib.sha256(outputs).hexdigest(), bytes=len(outputs)),
    )
    return ScoredWeights(made, content, outputs)


def counts_of(cell: Cell, evaluation: EvaluationState, labels: Tensor) -> Counts:
    """What outputs give against the true labels (images,)."""
    card = cell.card
    return count(evaluation, labels, cell.registry.dataset(card.dataset).classes, auc=bool(card.evaluation.auc))


def score(cell: Cell, code: Code, weights: Weights, images: Tensor, *, trust: bool) -> Scored:
    """Score weights in a fresh process that holds no label.

    Args:
        cell: says benchmark and entry.
        code: the submission's files.
        weights: of its network, by name.
        images: the test images as the data set holds them (images, channels, height, width).
        trust: whether its code may run where there is no isolation.

    Raises:
        UserError: there is no isolation and no trust.
        Refused: the weights do not fit, or a check found something wrong.
    """
    tensors = {"test.images": images} | _prefixed(weights)
    outcome = _accepted(cell, _job("score", cell, code, tensors, scoring_seconds(cell, len(images)), trust))
    report = _read(_Scoring, outcome.report)
    evaluation = _evaluation(cell, outcome.tensors, len(images))
    evaluation.seconds, evaluation.scored = report.test_seconds, report.scored
    try:
        after = Measured.model_validate_json(report.after)
    except ValidationError as error:
        what = f"the equivariance that was measured ({how_many(error.error_count(), 'error')})"
        raise Refused([_unreadable(what)]) from None
    return Scored(evaluation, Measurements(after, report.parameters, report.macs, report.probes))


def differences(recorded: EvaluationState, found: EvaluationState) -> Iterator[str]:
    """Where two evaluations of what should be one network differ by more than float noise, in words."""
    for name, logits in recorded.logits.items():
        other = found.logits[name]
        allowed = NOISE * float(other.double().square().mean().sqrt())
        most = float((logits - other).abs().max())
        if not most <= allowed:
            yield f"logits {name} are {most:.1e} off, and float noise is below {allowed:.1e}"
    for angle, classes in recorded.classes.items():
        off = int((classes != found.classes[angle]).sum())
        if off > TIES * len(classes):
            yield f"put into other classes at {angle}°: {off} of {how_many(len(classes), 'image')}"


def _same_outputs(cell: Cell, trained: EvaluationState, scored: EvaluationState) -> None:
    found = list(differences(trained, scored))
    if found:
        remedy = "keep everything that the output depends on in parameters and buffers"
        what = f"{cell.name}: scored in a fresh process the weights give something else: {found[0]}"
        raise Refused([Finding(check="rescore", what=what, remedy=remedy)])


def _wrong_course(cell: Cell, images: int, course: _Course) -> Iterator[Finding]:
    """What the recipe determines of the course of training."""
    recipe = cell.card.recipe
    batches = images // recipe.batch_size if recipe.drop_last else -(-images // recipe.batch_size)
    remedy = "leave the trainer and the optimiser alone"
    if course.steps != batches * recipe.epochs:
        what = f"{cell.name}: {course.steps} optimiser steps, where the recipe makes {batches * recipe.epochs}"
        yield Finding(check="steps", what=what, remedy=remedy)
    if [epoch.epoch for epoch in course.history] != list(range(1, recipe.epochs + 1)):
        what = f"{cell.name}: {how_many(len(course.history), 'epoch')}, where the recipe has {recipe.epochs}"
        yield Finding(check="steps", what=what, remedy=remedy)


def _job(job: Job, cell: Cell, code: Code, tensors: Weights, seconds: float, trust: bool, **arguments: Any) -> Outcome:
    """Run one job of the child's on this cell."""
    classes = cell.registry.dataset(cell.card.dataset).classes
    given = {
        "benchmark": cell.card.model_dump(mode="json"),
        "model": cell.model.model_dump(mode="json"),
        "entry": cell.entry,
        "classes": classes,
        "seed": cell.seed,
        "threads": cell.threads,
    }
    held = sum(tensor.nbytes for tensor in tensors.values())
    limits = Limits(seconds, MEMORY_BYTES + 20 * held, output_bytes=SLACK_BYTES + 4 * held)
    return run_isolated(job, code, given | arguments, tensors, limits, trust=trust)


def _accepted(cell: Cell, outcome: Outcome) -> Outcome:
    if outcome.findings:
        raise Refused(
            finding.model_copy(update={"what": f"{cell.name}: {finding.what}"}) for finding in outcome.findings
        )
    return outcome


Report = TypeVar("Report", bound=Model)


def _read(form: type[Report], report: dict[str, Any]) -> Report:
    """The part of a report that is used; what else it says is passed over."""
    try:
        return form.model_validate_json(json.dumps({key: report[key] for key in form.model_fields if key in report}))
    except (ValidationError, ValueError) as error:
        raise Refused([_unreadable(f"the report ({' '.join(str(error).split())[:200]})")]) from None


def _weights(tensors: Weights) -> Weights:
    found = {name.removeprefix(PREFIX): tensor for name, tensor in tensors.items() if name.startswith(PREFIX)}
    if not found:
        raise Refused([_unreadable("the weights, of which there are none")])
    return found


def _prefixed(weights: Weights) -> Weights:
    return {PREFIX + name: tensor for name, tensor in weights.items()}


def _evaluation(cell: Cell, tensors: Weights, images: int) -> EvaluationState:
    found = outputs_of(cell, tensors, images)
    if found is None:
        raise Refused([_unreadable("the outputs: not finite logits and classes of every image and condition")])
    return found


def outputs_of(cell: Cell, tensors: Weights, images: int) -> EvaluationState | None:
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


def _unreadable(what: str) -> Finding:
    remedy = "leave the process's files and descriptors alone"
    return Finding(check="unreadable-result", what=f"the process left something else than {what}", remedy=remedy)
