"""The record: what one finished cell leaves behind, enough to argue about every number in it.

The form is versioned. `schema_version` changes only when an old reader would misread a new record; a new optional
field is null in old records. Metrics are recomputed from `counts` by `benchmark.metrics`, never trusted.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from benchmark.cards.schema import Model, Natural, Positive, Sha256
from benchmark.equivariance.results import EquivarianceState, Exactness
from benchmark.metrics import Counts

SCHEMA_VERSION: Literal[1] = 1


class Equivariance(Model):
    """Item 3 and 4 of what a cell measures: errors and exactness before and after training on the same images.

    `relaxation` maps each depth, and `logits`, to the relative error after training minus the one before.
    """

    images: Positive
    before: EquivarianceState
    after: EquivarianceState
    relaxation: dict[str, float | None]
    exactness_before: Exactness | None = None
    exactness_after: Exactness | None = None


class Epoch(Model):
    """One epoch of training: running loss and accuracy over the augmented batches, and validation after it."""

    epoch: Positive
    learning_rate: float
    train_loss: float
    train_accuracy: float
    validation_accuracy: float | None
    seconds: float


class Training(Model):
    """The course of training. `tested_epoch` is the epoch whose weights were tested."""

    history: tuple[Epoch, ...]
    steps: Positive
    tested_epoch: Positive


class Cost(Model):
    """What the cell took; never averaged over devices. MACs are those of one upright image through the network."""

    parameters: Positive
    macs: Positive
    train_images_per_second: float
    test_images_per_second: float
    train_seconds: float
    test_seconds: float
    peak_memory_bytes: Natural


class Provenance(Model):
    """Where and with what the cell ran; no part of the digest."""

    suite_version: str
    commit: str | None
    dirty: bool | None
    device: str
    device_name: str
    threads: Positive
    numeric_mode: str
    deterministic_algorithms: bool
    versions: dict[str, str]
    platform: str
    started: str
    finished: str
    sessions: Positive
    """How many times the cell was started or resumed until it was finished."""
    seeds_at_once: Positive | None = None
    """How many seeds were trained as one computation, this one among them; null where it was trained alone."""


class Weights(Model):
    """The tested weights: a safetensors file beside the record where small, else kept outside git."""

    sha256: Sha256
    bytes: Positive
    committed: bool


class Outputs(Model):
    """Per-image outputs, kept outside git under their digest: logits for elements, class ids for angles."""

    sha256: Sha256
    bytes: Positive


class Record(Model):
    """One finished cell."""

    schema_version: Literal[1]
    benchmark: str
    entry: str
    seed: Natural
    spec_digest: Sha256
    spec: dict[str, Any]
    official: bool
    unofficial_because: str | None = None
    metrics: dict[str, float | None]
    counts: Counts
    equivariance: Equivariance
    training: Training
    cost: Cost
    provenance: Provenance
    weights: Weights
    outputs: Outputs | None


class Failure(Model):
    """What a cell leaves that did not finish: never a row, never counted as done."""

    schema_version: Literal[1]
    benchmark: str
    entry: str
    seed: Natural
    spec_digest: Sha256
    reason: str
    phase: Literal["build", "training", "evaluation"]
    epoch: Natural | None
    at: str
    details: Annotated[str, Field(description="the traceback, where there is one")] = ""
