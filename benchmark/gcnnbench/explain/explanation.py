"""The data of an explanation, all that stands behind one number of a table, and what it was made on in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gcnnbench.cards.base import Assumption
from gcnnbench.claims.rows import ClaimRow
from gcnnbench.explain.metric_counts import Tally
from gcnnbench.formatting import how_many
from gcnnbench.runs.record import Provenance
from gcnnbench.statistics import Summary


def machine(made: Provenance) -> str:
    """What a record was made on, in words."""
    return f"{made.device}: {made.device_name}, {how_many(made.threads, 'thread')}; {made.platform}"


@dataclass(frozen=True)
class File:
    """A file that a record names, and whether it is here: `altered` where another content stands in its place."""

    path: str
    sha256: str
    bytes: int
    state: Literal["here", "altered", "not here"]


@dataclass(frozen=True)
class Value:
    """The metric of one record and the counts it is the quotient of; `tally` is null where `field` is its source.

    `excluded` says why no table counts the record; null where one does.
    """

    seed: int
    value: float | None
    tally: Tally | None
    field: str | None
    record: str
    sha256: str
    spec_digest: str
    tested_epoch: int
    weights: File
    outputs: File | None
    excluded: str | None


@dataclass(frozen=True)
class Origin:
    """What made the records of these seeds. `in_history`: whether the commit is in this repository's history."""

    seeds: tuple[int, ...]
    commit: str | None
    dirty: bool | None
    in_history: bool | None
    machine: str
    numeric_mode: str
    versions: Mapping[str, str]
    started: str
    finished: str


@dataclass(frozen=True)
class DataFile:
    """A file of the data set below the data directory, as its card knows it."""

    path: str
    bytes: int | None
    md5: str | None


@dataclass(frozen=True)
class Explanation:
    """Everything behind one cell of a leaderboard.

    Paths are below `results`. `summary` is null where one record is explained, `spec` is what determines the number and
    `spec_is_current` whether the registry asks for the same today. `data` maps each part that is used to the sha256 of
    its decoded tensors. `test_set_error` is the binomial standard error that the choice of test images adds, at most
    that for a mean over several conditions of the same images. `folds` is the number of
    folds, of which each seed tests one.
    """

    results: str
    benchmark: str
    title: str
    entry: str
    metric: str
    summary: Summary | None
    protocol_seeds: int
    missing: tuple[int, ...]
    test_images: int
    folds: int | None
    test_set_error: float | None
    values: tuple[Value, ...]
    not_counted: tuple[Value, ...]
    origins: tuple[Origin, ...]
    spec_digest: str
    spec: Mapping[str, Any]
    spec_is_current: bool
    assumptions: Mapping[str, tuple[Assumption, ...]]
    dataset: str
    data: Mapping[str, str]
    data_files: tuple[DataFile, ...]
    claims: tuple[ClaimRow, ...]
    sources: Mapping[str, str]
