"""Makes a cell's record, weights file and output file from its last state."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import safetensors.torch
import torch
from torch import Tensor, nn

from gcnnbench.data.images import Images
from gcnnbench.device import describe
from gcnnbench.equivariance.results import relaxation
from gcnnbench.outside_text import as_line
from gcnnbench.runs import provenance
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.measuring import Measured, Measurements, measurements
from gcnnbench.runs.record import (
    SCHEMA_VERSION,
    Cost,
    Epoch,
    Equivariance,
    Outputs,
    Provenance,
    Record,
    Training,
    Weights,
    sealed,
)
from gcnnbench.runs.state import CellState
from gcnnbench.scoring.conditions import count
from gcnnbench.scoring.metrics import metrics

COMMITTED_WEIGHTS_BYTES = 200_000


@dataclass(frozen=True)
class Finished:
    """The record of a finished cell and the contents of the two safetensors files that go with it."""

    record: Record
    weights: bytes
    outputs: bytes


def finish(cell: Cell, state: CellState, network: nn.Module, test: Images, *, recorded: bool) -> Finished:
    """The record and its files. The network holds the tested weights; `recorded`: its steps were CUDA graphs."""
    measured = measurements(network, test, cell.card, cell.model)
    return assemble(cell, state, measured, test.labels, recorded=recorded)


def assemble(
    cell: Cell, state: CellState, measured: Measurements, labels: Tensor, *, recorded: bool = False
) -> Finished:
    """The record and its files, from what training, scoring and measuring gave, and the true labels (images,)."""
    card, training, evaluation = cell.card, state.training, state.evaluation
    before, after = Measured.model_validate_json(state.before), measured.after
    classes = cell.registry.dataset(card.dataset).classes
    counts = count(evaluation, labels, classes, auc=bool(card.evaluation.auc))
    tested = {name: value.detach().cpu().contiguous() for name, value in training.tested_network.items()}
    weights = safetensors.torch.save(tested)
    outputs = safetensors.torch.save(
        {
            "logits": torch.stack(list(evaluation.logits.values())),
            "angle_classes": torch.stack(list(evaluation.classes.values())),
            "labels": labels.cpu(),
        }
    )
    commit, dirty = provenance.commit()
    train_seconds = sum(epoch["seconds"] for epoch in training.history)
    record = Record(
        schema_version=SCHEMA_VERSION,
        benchmark=card.full_name,
        entry=cell.entry,
        seed=cell.seed,
        spec_digest=cell.digest,
        spec=cell.spec,
        official=cell.unofficial_because is None,
        unofficial_because=cell.unofficial_because,
        metrics=metrics(counts, card.evaluation.seen, invariance_error=after.state.invariance_error),
        counts=counts,
        equivariance=Equivariance(
            images=min(card.evaluation.equivariance_images, len(labels)),
            before=before.state,
            after=after.state,
            relaxation=relaxation(before.state, after.state),
            exactness_before=before.exactness,
            exactness_after=after.exactness,
        ),
        training=Training(
            history=tuple(Epoch(**epoch) for epoch in training.history),
            steps=training.steps,
            tested_epoch=training.tested_epoch,
        ),
        cost=Cost(
            parameters=measured.parameters,
            macs=measured.macs,
            train_images_per_second=training.images_seen / train_seconds,
            test_images_per_second=evaluation.scored / evaluation.seconds,
            train_seconds=train_seconds,
            test_seconds=evaluation.seconds,
            peak_memory_bytes=state.peak_memory,
        ),
        provenance=Provenance(
            suite_version=provenance.versions()["gcnnbench"],
            commit=commit,
            dirty=dirty,
            device=cell.device,
            device_name=as_line(describe(torch.device(cell.device))),
            threads=cell.threads,
            numeric_mode=card.recipe.numeric_mode,
            deterministic_algorithms=torch.are_deterministic_algorithms_enabled(),
            versions=provenance.versions(),
            platform=provenance.platform_name(),
            started=state.started,
            finished=max(state.started, provenance.now()),
            sessions=state.sessions,
            seeds_at_once=state.seeds_at_once if state.seeds_at_once > 1 else None,
            cuda_graphs=True if recorded else None,
        ),
        weights=Weights(
            sha256=hashlib.sha256(weights).hexdigest(),
            bytes=len(weights),
            committed=len(weights) <= COMMITTED_WEIGHTS_BYTES,
        ),
        outputs=Outputs(sha256=hashlib.sha256(outputs).hexdigest(), bytes=len(outputs)),
        probes=measured.probes,
    )
    return Finished(sealed(record), weights, outputs)
