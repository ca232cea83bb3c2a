"""Scores weights that came with a submission: nothing is trained, and the score enters the table of weights only."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import safetensors.torch
import torch

from gcnnbench.runs import provenance
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.finish import COMMITTED_WEIGHTS_BYTES
from gcnnbench.runs.record import Outputs, Weights
from gcnnbench.runs.weights_only import WeightsOnly, protocol_of
from gcnnbench.scoring.metrics import metrics
from gcnnbench.submissions.cell_jobs import Tensors, shares
from gcnnbench.submissions.rescoring import counts_of, score
from gcnnbench.submissions.sandbox import Code


@dataclass(frozen=True)
class ScoredWeights:
    """What a network that came trained leaves: its score and the contents of the two safetensors files beside it."""

    score: WeightsOnly
    weights: bytes
    outputs: bytes


def score_weights(cell: Cell, code: Code, weights: Tensors, *, trust: bool) -> ScoredWeights:
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
    found = score(cell, code, weights, test, trust=trust)
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
        probes=found.measured.probes,
        environment=provenance.versions(),
        scored=provenance.now(),
        weights=Weights(
            sha256=hashlib.sha256(content).hexdigest(),
            bytes=len(content),
            committed=len(content) <= COMMITTED_WEIGHTS_BYTES,
        ),
        outputs=Outputs(sha256=hashlib.sha256(outputs).hexdigest(), bytes=len(outputs)),
    )
    return ScoredWeights(made, content, outputs)
