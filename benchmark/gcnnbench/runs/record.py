"""The record: the file that a finished cell leaves, with counts, metrics, equivariance, cost and provenance.

The form is versioned. `schema_version` changes only when an old reader would misread a new record; a new optional
field is null in old records. Metrics are recomputed from `counts` by `gcnnbench.scoring.metrics`, never trusted. Every
number is finite and in a range, every text one that can be shown (`gcnnbench.cards.values`).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from gcnnbench.cards.base import EntryName, Model, Sha256
from gcnnbench.cards.values import (
    Finite,
    FullName,
    Natural,
    NotNegative,
    OutsideLine,
    OutsideText,
    PlainData,
    Positive,
    Rate,
    Seconds,
    Seed,
    Share,
    Time,
)
from gcnnbench.equivariance.results import EquivarianceState, Exactness
from gcnnbench.runs.spec import spec_digest
from gcnnbench.scoring.metrics import Counts

SCHEMA_VERSION: Literal[1] = 1


class Equivariance(Model):
    """Errors and exactness before and after training, on the same images.

    `relaxation` maps each depth, and `logits`, to the relative error after training minus the one before.
    """

    images: Positive
    before: EquivarianceState
    after: EquivarianceState
    relaxation: dict[OutsideLine, Finite | None]
    exactness_before: Exactness | None = None
    exactness_after: Exactness | None = None


class Epoch(Model):
    """One epoch of training: running loss and accuracy over the augmented batches, and validation after it.

    `train_penalty` is the mean of what the network added to the loss, null where it adds nothing; `probes` holds what
    was read from the network after the epoch, by probe and by module, null where the benchmark asks for nothing.
    """

    epoch: Positive
    learning_rate: NotNegative
    train_loss: NotNegative
    train_accuracy: Share
    validation_accuracy: Share | None
    seconds: Seconds
    train_penalty: Finite | None = None
    probes: PlainData | None = None


class Training(Model):
    """The course of training. `tested_epoch` is the epoch whose weights were tested."""

    history: tuple[Epoch, ...]
    steps: Positive
    tested_epoch: Positive


class Cost(Model):
    """What the cell took; never averaged over devices. MACs are those of one upright image through the network."""

    parameters: Positive
    macs: Positive
    train_images_per_second: Rate
    test_images_per_second: Rate
    train_seconds: Seconds
    test_seconds: Seconds
    peak_memory_bytes: Natural


class Provenance(Model):
    """Where and with what the cell ran; no part of the digest."""

    suite_version: OutsideLine
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40,64}$")] | None
    dirty: bool | None
    device: OutsideLine
    device_name: OutsideLine
    threads: Positive
    numeric_mode: OutsideLine
    deterministic_algorithms: bool
    versions: dict[OutsideLine, OutsideLine]
    platform: OutsideLine
    started: Time
    finished: Time
    sessions: Positive
    """How many times the cell was started or resumed until it was finished."""
    seeds_at_once: Positive | None = None
    """How many seeds were trained as one computation, this one among them; null where it was trained alone."""
    cuda_graphs: Literal[True] | None = None
    """Training steps were replayed as CUDA graphs; null where each was made as it is."""
    beside_code: OutsideLine | None = None
    """Why submitted code ran in the process that trained its network; null where it did not, or the suite trained."""


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
    benchmark: FullName
    entry: EntryName
    seed: Seed
    spec_digest: Sha256
    spec: PlainData
    official: bool
    unofficial_because: OutsideLine | None = None
    metrics: dict[OutsideLine, NotNegative | None]
    counts: Counts
    equivariance: Equivariance
    training: Training
    cost: Cost
    provenance: Provenance
    weights: Weights
    outputs: Outputs | None
    probes: PlainData | None = None
    """What was read from the tested network, by probe and by module; null where the benchmark asks for nothing."""
    checksum: Sha256 | None = None
    """Of everything else in the record, against accidents; null in records that are older than it."""


class Failure(Model):
    """What a cell leaves that did not finish: never a row, never counted as done.

    Only an official one, of a cell without `--limit`, excuses a seed that is missing.
    """

    schema_version: Literal[1]
    benchmark: FullName
    entry: EntryName
    seed: Seed
    spec_digest: Sha256
    official: bool = True
    reason: OutsideLine
    phase: Literal["build", "training", "evaluation"]
    epoch: Natural | None
    at: Time
    details: Annotated[OutsideText, Field(description="the traceback, where there is one")] = ""


def sealed(record: Record) -> Record:
    """The record with the checksum of what it holds."""
    return record.model_copy(update={"checksum": checksum(record)})


def checksum(record: Record) -> str:
    """The sha256 of a record's canonical JSON without nulls and without the checksum itself."""
    return spec_digest(record.model_dump(mode="json", exclude_none=True, exclude={"checksum"}))
