"""The data of a board: what the tables of one benchmark say; every format is made from it alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gcnnbench.cards.base import split_entry
from gcnnbench.leaderboard.reading import EquivarianceName, Machine
from gcnnbench.runs.measured import Grade
from gcnnbench.statistics import Summary

ACCURACIES = ("accuracy.upright", "accuracy.unseen", "accuracy.orbit", "accuracy.curve_mean")
"""The accuracies that every table shows and that pairs are compared in."""
HEADINGS = {"accuracy.curve_mean": "curve mean", "auc": "AUC"}


def heading(metric: str) -> str:
    """What a metric's column is called."""
    return HEADINGS.get(metric, metric.removeprefix("accuracy."))


@dataclass(frozen=True)
class Missing:
    """A seed of the protocol that a row lacks, and why."""

    seed: int
    why: str


@dataclass(frozen=True)
class Speed:
    """Times of one row on one machine."""

    machine: Machine
    train_images_per_second: Summary
    test_images_per_second: Summary
    train_seconds: Summary
    test_seconds: Summary
    peak_memory_bytes: int


@dataclass(frozen=True)
class Fold:
    """One seed under cross-testing: its fold, the images of that fold and their pairs of two classes."""

    seed: int
    fold: int
    images: int
    pairs: int
    metrics: Mapping[str, float | None]


@dataclass(frozen=True)
class Row:
    """One entry in one numeric mode. `tied` says that it cannot be told from the row above it.

    `test_set_error` is the binomial standard error of the upright accuracy: what the choice of test images adds,
    apart from the spread over seeds. `records` are the sha256 of the records' files, in the order of the seeds.
    """

    entry: str
    rank: int | None
    tied: bool
    group: str
    equivariance: EquivarianceName
    numeric_mode: str | None
    seeds: tuple[int, ...]
    missing: tuple[Missing, ...]
    metrics: Mapping[str, Summary | None]
    test_images: int | None
    test_set_error: float | None
    parameters: int | None
    macs: int | None
    speeds: tuple[Speed, ...]
    measured: Mapping[Grade, tuple[int, ...]] = field(default_factory=dict)
    """Where the entry was submitted: which of its seeds are self-reported, re-scored and re-trained."""
    spec_digest: str | None = None
    records: tuple[str, ...] = ()
    folds: tuple[Fold, ...] = ()
    learnt: bool = False
    """The card says that the network learns how symmetric it is; `equivariance` is what training made of it."""


@dataclass(frozen=True)
class Contrast:
    """Exact − approximate in one metric: 95% interval and p of `difference`, p by Holm over the benchmark's pairs."""

    metric: str
    exact: Summary
    approximate: Summary
    difference: float
    ci95: tuple[float, float] | None
    p: float | None
    p_holm: float | None

    @property
    def seeds(self) -> str:
        """How many seeds each side has: `5`, or `5, 3` where they differ."""
        return str(self.exact.n) if self.exact.n == self.approximate.n else f"{self.exact.n}, {self.approximate.n}"


@dataclass(frozen=True)
class Pair:
    """An exact and an approximate network of one architecture, or a network's exact cure and the network itself.

    `why_empty` says why there is nothing to compare.
    """

    architecture: str
    exact: str
    approximate: str
    contrasts: tuple[Contrast, ...]
    why_empty: str | None = None

    @property
    def name(self) -> str:
        """`p4cnn@28 − 27` of one slug, else `p4-air-cured@33 − p4-air@33`."""
        one_slug = split_entry(self.exact)[0] == self.architecture
        return f"{self.exact} − {split_entry(self.approximate)[1] if one_slug else self.approximate}"


@dataclass(frozen=True)
class NotCounted:
    """Records that no row counts, and why: superseded, stale, repeat, unofficial, extra seed, no entry of the card."""

    benchmark: str
    entry: str
    why: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class WeightsOnlyRow:
    """A network that came trained: scored by the protocol, never trained here, and never ranked."""

    entry: str
    equivariance: EquivarianceName
    metrics: Mapping[str, float | None]
    parameters: int
    trained_on: str
    measured: Grade | None


@dataclass(frozen=True)
class Board:
    """Everything that the tables of one benchmark say."""

    benchmark: str
    title: str
    rank_by: str
    protocol_seeds: int
    rows: tuple[Row, ...]
    pairs: tuple[Pair, ...]
    not_counted: tuple[NotCounted, ...]
    findings: tuple[str, ...]
    weights_only: tuple[WeightsOnlyRow, ...] = ()

    @property
    def has_runs(self) -> bool:
        """Whether any row has a record, or any network came trained."""
        return any(row.seeds for row in self.rows) or bool(self.weights_only)

    @property
    def has_records(self) -> bool:
        """Whether it has runs, or records that do not count."""
        return self.has_runs or bool(self.not_counted)

    @property
    def cross_tested(self) -> bool:
        """Whether each seed is tested on a fold of its own, so that rows are compared fold by fold."""
        return any(row.folds for row in self.rows)

    def in_several_modes(self, entry: str) -> bool:
        """Whether an entry has rows in several numeric modes, so that its name alone names none of them."""
        return len({row.numeric_mode for row in self.rows if row.entry == entry}) > 1
