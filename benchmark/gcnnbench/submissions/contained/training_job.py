"""The jobs that train and score: the suite's own trainer and scorer around a submitted network, without test labels.

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
from gcnnbench.outside_text import as_line
from gcnnbench.probes import probing
from gcnnbench.runs.measuring import Measured, equivariance_now, measurements
from gcnnbench.scoring.conditions import EvaluationState, UnusableError, evaluate
from gcnnbench.scoring.weights import load_weights
from gcnnbench.submissions.contained.exporting import export_network, refuse_recipe
from gcnnbench.submissions.contained.graph import GraphNetwork
from gcnnbench.submissions.contained.integrity import Snapshot, changes
from gcnnbench.submissions.contained.metamorphic import contents, scoring_findings
from gcnnbench.submissions.contained.subject import CPU, RefusedError, Subject
from gcnnbench.submissions.contained.suite_operators import GraphError
from gcnnbench.submissions.findings import Finding
from gcnnbench.submissions.graph_form import Graphs
from gcnnbench.submissions.limits import broken_limit
from gcnnbench.submissions.tensor_names import NETWORK, WEIGHTS, chosen, prefixed
from gcnnbench.training.loop import DivergedError, train
from gcnnbench.training.task import Task, TrainingState

Done = tuple[list[Finding], dict[str, Any], dict[str, Tensor]]


def export_job(subject: Subject, before: Snapshot) -> Done:
    """Measure a new network, and export it, so that it can be trained where its code does not run.

    Args:
        subject: has the test images, and the sizes of the batches.
        before: of the process, before the submitted code was imported.

    Returns:
        Findings; the report (what was measured before training; the graphs, or the reason why there are none); and
        the network's tensors as `network.<name>`.

    Raises:
        RefusedError: the network cannot be built or measured.
    """
    with arithmetic(CPU, "fp32", subject.threads):
        network, test = subject.build(), _needed(subject, "test")
        report: dict[str, Any] = {"before": _measured_before(subject, network, test).model_dump_json()}
        graphs, tensors, reason = export_subject(subject, test)
    report |= {"graphs": None if graphs is None else graphs.model_dump(mode="json"), "reason": reason}
    return list(changes(before)), report, prefixed(NETWORK, tensors)


def export_subject(subject: Subject, images: Images) -> tuple[Graphs | None, dict[str, Tensor], str]:
    """The graphs of a subject's network and its tensors; no graphs, and the reason, where it cannot be exported."""
    most = max(*subject.training_batches, *subject.scoring_batches)
    try:
        refuse_recipe(subject.card, subject.build())
        shown = images.batch(torch.arange(most) % len(images))
        graphs, tensors = export_network(subject.build, shown, subject.training_batches, subject.scoring_batches)
    except GraphError as error:
        return None, {}, as_line(str(error))
    except Exception as error:  # of torch.export, of the network at a size it is not trained at, of names
        if broken_limit(error):
            raise
        return None, {}, as_line(f"{type(error).__name__}: {error}")
    return graphs, tensors, ""


def train_graphs_job(subject: Subject, before: Snapshot) -> Done:
    """Train and score the graphs of a network, with none of its code in this process or within its reach.

    Args:
        subject: has the graphs with their tensors, train, validation (where the benchmark has one) and test images.
        before: of the process.

    Returns:
        As `train_job`, without what is measured on the network.

    Raises:
        RefusedError: the graphs cannot be run, trained or scored.
    """
    reset_peak_memory(CPU)
    test = _needed(subject, "test")
    try:
        network = GraphNetwork(subject.graphs, chosen(NETWORK, subject.tensors))
        state = _trained(subject, network, test)
        report, tensors = _outputs(subject, network, test)
    except GraphError as error:
        raise RefusedError("graph", str(error), "let the network be exported as it is") from error
    return list(changes(before)), report | _training_report(state), tensors | _weights(state)


def train_job(subject: Subject, before: Snapshot) -> Done:
    """Train one cell beside its own code, and score it.

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
    with arithmetic(CPU, "fp32", subject.threads):
        network, test = subject.build(), _needed(subject, "test")
        early = _measured_before(subject, network, test)
    state = _trained(subject, network, test)
    findings, report, tensors = _score(subject, network, test)
    findings += changes(before)
    report |= {"before": early.model_dump_json(), **_training_report(state)}
    return findings, report, tensors | _weights(state)


def _measured_before(subject: Subject, network: nn.Module, test: Images) -> Measured:
    try:
        return equivariance_now(network, test, subject.card, subject.model)
    except ControlError as error:
        raise _undecided(error) from error


def _trained(subject: Subject, network: nn.Module, test: Images) -> TrainingState:
    """Train by the recipe; the network is left with the tested weights."""
    card, state = subject.card, TrainingState()
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
    return state


def _training_report(state: TrainingState) -> dict[str, Any]:
    return {
        "history": state.history,
        "steps": state.steps,
        "images_seen": state.images_seen,
        "tested_epoch": state.tested_epoch,
        "peak_memory": peak_memory(CPU),
    }


def _weights(state: TrainingState) -> dict[str, Tensor]:
    return {name: value.detach().contiguous() for name, value in prefixed(WEIGHTS, state.tested_network).items()}


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


def _outputs(subject: Subject, network: nn.Module, test: Images) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What the network gives the test images under every condition."""
    protocol, evaluation = subject.card.evaluation, EvaluationState()
    try:
        for _ in evaluate(network, test, protocol, group(protocol.group), subject.threads, evaluation):
            pass
    except UnusableError as error:
        check = "not-finite" if "finite" in str(error) else "one-class"
        raise RefusedError(check, str(error), "give logits that tell the images apart, all of them finite") from error
    tensors = {
        "logits": torch.stack(list(evaluation.logits.values())),
        "angle_classes": torch.stack(list(evaluation.classes.values())),
    }
    return {"test_seconds": evaluation.seconds, "scored": evaluation.scored}, tensors


def _score(subject: Subject, network: nn.Module, test: Images) -> Done:
    held = contents(network)
    report, tensors = _outputs(subject, network, test)
    with arithmetic(CPU, "fp32", subject.threads):
        findings = list(scoring_findings(network, test, tensors["logits"][0], held))
        try:
            measured = measurements(network, test, subject.card, subject.model)
        except ControlError as error:
            raise _undecided(error) from error
    report |= {
        "after": measured.after.model_dump_json(),
        "parameters": measured.parameters,
        "macs": measured.macs,
        "probes": measured.probes,
    }
    return findings, report, tensors


def _undecided(error: Exception) -> RefusedError:
    remedy = "use operations whose symmetry can be told, and report the network if its claim is right"
    return RefusedError("exactness", str(error), remedy)


def _needed(subject: Subject, role: str) -> Images:
    images = subject.images(role)
    if images is None:
        raise RefusedError("data", f"the job was given no {role} images", f"give it {role}.images")
    return images
