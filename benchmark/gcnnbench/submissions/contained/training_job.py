"""The jobs `train` and `score`: the suite's own trainer and scorer around a submitted network, without test labels.

The random streams, the recipe and the order of everything are those of `gcnnbench.runs.cell_run`, so that an entry of
the suite ends here with the same bits as by `run`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gcnnbench.data.images import Images
from gcnnbench.device import arithmetic, peak_memory, reset_peak_memory
from gcnnbench.equivariance.decision import ControlError
from gcnnbench.nn.groups import group
from gcnnbench.probes import probing
from gcnnbench.runs.measuring import equivariance_now, measurements
from gcnnbench.scoring.conditions import EvaluationState, UnusableError, evaluate
from gcnnbench.scoring.weights import load_weights
from gcnnbench.submissions.contained.integrity import Snapshot, changes
from gcnnbench.submissions.contained.metamorphic import contents, scoring_findings
from gcnnbench.submissions.contained.subject import CPU, WEIGHTS, RefusedError, Subject
from gcnnbench.submissions.findings import Finding
from gcnnbench.training.loop import DivergedError, Task, TrainingState, train

Done = tuple[list[Finding], dict[str, Any], dict[str, Tensor]]


def train_job(subject: Subject, before: Snapshot) -> Done:
    """Train one cell and score it.

    Args:
        subject: has train, validation (where the benchmark has one) and test images, and no test labels.
        before: of the process, before the submitted code was imported.

    Returns:
        Findings; the report (course of training, what was measured before and after, costs); `weights.<name>`,
        `logits` (elements, images, classes) and `angle_classes` (angles, images).

    Raises:
        RefusedError: the network cannot be built, trained or scored.
    """
    reset_peak_memory(CPU)
    card, state = subject.card, TrainingState()
    with arithmetic(CPU, "fp32", subject.threads):
        network, test = subject.build(), _needed(subject, "test")
        try:
            early = equivariance_now(network, test, card, subject.model)
        except ControlError as error:
            raise _undecided(error) from error
    task = Task(
        card.name,
        subject.seed,
        card.recipe,
        _needed(subject, "train"),
        subject.images("validation"),
        CPU,
        subject.threads,
        probing(card.evaluation, test),
    )
    try:
        for _ in train(network, task, state):
            pass
    except DivergedError as error:
        raise RefusedError("diverged", str(error), "let the network start so that this recipe can train it") from error
    load_weights(network, state.tested_network)
    findings, report, tensors = _score(subject, network, test)
    findings += changes(before)
    report |= {
        "before": early.model_dump_json(),
        "history": state.history,
        "steps": state.steps,
        "images_seen": state.images_seen,
        "tested_epoch": state.tested_epoch,
        "peak_memory": peak_memory(CPU),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }
    weights = {WEIGHTS + name: value.detach().contiguous() for name, value in state.tested_network.items()}
    return findings, report, tensors | weights


def score_job(subject: Subject, before: Snapshot) -> Done:
    """Score given weights in a process that has trained nothing.

    Args:
        subject: has the weights and the test images.
        before: of the process, before the submitted code was imported.

    Returns:
        As `train_job`, without the course of training and the weights.

    Raises:
        RefusedError: the network cannot be built, the weights are not its own, or it cannot be scored.
    """
    with arithmetic(CPU, "fp32", subject.threads):
        network, test = subject.load(subject.build()), _needed(subject, "test")
    findings, report, tensors = _score(subject, network, test)
    return findings + list(changes(before)), report, tensors


def _score(subject: Subject, network: nn.Module, test: Images) -> Done:
    protocol, evaluation = subject.card.evaluation, EvaluationState()
    held = contents(network)
    try:
        for _ in evaluate(network, test, protocol, group(protocol.group), subject.threads, evaluation):
            pass
    except UnusableError as error:
        check = "not-finite" if "finite" in str(error) else "one-class"
        raise RefusedError(check, str(error), "give logits that tell the images apart, all of them finite") from error
    logits = torch.stack(list(evaluation.logits.values()))
    with arithmetic(CPU, "fp32", subject.threads):
        findings = list(scoring_findings(network, test, logits[0], held))
        try:
            measured = measurements(network, test, subject.card, subject.model)
        except ControlError as error:
            raise _undecided(error) from error
    report = {
        "after": measured.after.model_dump_json(),
        "parameters": measured.parameters,
        "macs": measured.macs,
        "probes": measured.probes,
        "test_seconds": evaluation.seconds,
        "scored": evaluation.scored,
    }
    return findings, report, {"logits": logits, "angle_classes": torch.stack(list(evaluation.classes.values()))}


def _undecided(error: Exception) -> RefusedError:
    remedy = "use operations whose symmetry can be told, and report the network if its claim is right"
    return RefusedError("exactness", str(error), remedy)


def _needed(subject: Subject, role: str) -> Images:
    images = subject.images(role)
    if images is None:
        raise RefusedError("data", f"the job was given no {role} images", f"give it {role}.images")
    return images
