"""Tries a submission: trains and scores a cell in isolation by the protocol, and makes its record from the outputs.

The training process gets no test image's label, and none of the submitted code where the network can be exported. Its
outputs are not believed: a fresh process scores the weights that it leaves, and what that gives is counted here against
the true labels.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import torch

from gcnnbench.cards.base import Model
from gcnnbench.cards.values import Natural, Positive
from gcnnbench.data.splits import Splits
from gcnnbench.device import CPU_SCORING_BATCH, arithmetic
from gcnnbench.formatting import how_many
from gcnnbench.outside_text import as_line
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.finish import Finished, assemble
from gcnnbench.runs.record import Epoch, sealed
from gcnnbench.runs.state import start
from gcnnbench.scoring.conditions import EvaluationState
from gcnnbench.submissions.cell_jobs import (
    Tensors,
    read_report,
    run_job_or_refuse,
    scoring_seconds,
    shares,
    training_seconds,
    unreadable,
)
from gcnnbench.submissions.findings import Finding, Refused
from gcnnbench.submissions.graph_form import Graphs
from gcnnbench.submissions.rescoring import differences, evaluation_of, score
from gcnnbench.submissions.sandbox import Code
from gcnnbench.submissions.tensor_names import NETWORK, WEIGHTS, chosen, prefixed
from gcnnbench.training.task import TrainingState

EXPORT_SECONDS = 600.0

_ONE_AT_A_TIME = threading.Lock()
"""Torch's settings belong to the process, and several cells may be waited for in it."""


class _TrainingReport(Model):
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
    found, state = shares(cell), start(cell)
    network, exported = _export(cell, code, found, trust)
    course, trained = _train(cell, code, found, network, exported, trust)
    weights = chosen(WEIGHTS, trained)
    if not weights:
        raise unreadable("the weights, of which there are none")
    findings = list(_wrong_course(cell, len(found.train), course))
    if findings:
        raise Refused(findings)
    scored = score(cell, code, weights, found.test, trust=trust)
    _same_outputs(cell, evaluation_of(cell, trained, len(found.test)), scored.evaluation)
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
    network, _ = _export(cell, code, shares(cell), trust)
    return "" if network.graphs is not None else as_line(network.reason) or "it gives no reason"


def _export(cell: Cell, code: Code, found: Splits, trust: bool) -> tuple[_Exported, Tensors]:
    """The network as graphs with their tensors, where it can be exported, and its errors before training."""
    given = {"test.images": found.test.images}
    outcome = run_job_or_refuse("export", cell, code, given, EXPORT_SECONDS, trust, **_batches(cell, found))
    return read_report(_Exported, outcome.report), chosen(NETWORK, outcome.tensors)


def _train(
    cell: Cell, code: Code, found: Splits, network: _Exported, exported: Tensors, trust: bool
) -> tuple[_TrainingReport, Tensors]:
    """The course of training, and the tensors that it leaves: weights, and outputs that they gave in this process."""
    given = {"train.images": found.train.images, "train.labels": found.train.labels, "test.images": found.test.images}
    if found.validation is not None:
        given |= {"validation.images": found.validation.images, "validation.labels": found.validation.labels}
    validated = 0 if found.validation is None else len(found.validation)
    seconds = training_seconds(cell, len(found.train), validated) + scoring_seconds(cell, len(found.test))
    if network.graphs is None:
        outcome = run_job_or_refuse("train", cell, code, given, seconds, trust)
    else:
        given |= prefixed(NETWORK, exported)
        graphs = network.graphs.model_dump(mode="json")
        outcome = run_job_or_refuse("train-graphs", cell, {}, given, seconds, trust, graphs=graphs)
    return read_report(_TrainingReport, outcome.report), outcome.tensors


def _batches(cell: Cell, found: Splits) -> dict[str, list[int]]:
    """The sizes of the batches that a cell is trained and scored in."""
    recipe, scoring = cell.card.recipe, CPU_SCORING_BATCH
    images = [len(share) for share in (found.validation, found.test) if share is not None]
    training = {min(recipe.batch_size, len(found.train))}
    if not recipe.drop_last:
        training.add(len(found.train) % recipe.batch_size)
    scored = {size for count in images for size in (min(scoring, count), count % scoring)}
    return {"training_batches": sorted(training - {0}), "scoring_batches": sorted(scored - {0})}


def _same_outputs(cell: Cell, trained: EvaluationState, scored: EvaluationState) -> None:
    found = list(differences(trained, scored))
    if found:
        remedy = "keep everything that the output depends on in parameters and buffers"
        what = f"{cell.name}: scored in a fresh process the weights give something else: {found[0]}"
        raise Refused([Finding(check="rescore", what=what, remedy=remedy)])


def _wrong_course(cell: Cell, images: int, course: _TrainingReport) -> Iterator[Finding]:
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
