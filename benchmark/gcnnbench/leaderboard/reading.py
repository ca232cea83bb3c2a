"""Reads a results directory into runs: what tables need of each record, metrics recomputed from its counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.equivariance.results import Exactness
from gcnnbench.outside_text import as_line
from gcnnbench.runs.files import Kind, read_files, seed_of
from gcnnbench.runs.measured import Measurement, read_measurements
from gcnnbench.runs.record import Failure, Record
from gcnnbench.scoring.metrics import images, metrics, pairs

EquivarianceName = Literal["exact", "approximate", "none", "unknown"]


@dataclass(frozen=True, slots=True)
class Machine:
    """What a run ran on; times are compared on one machine only."""

    device: str
    name: str
    threads: int


@dataclass(frozen=True, slots=True)
class Run:
    """What tables need of one record. `metrics` is empty where the benchmark is not registered."""

    benchmark: str
    entry: str
    seed: int
    kind: Kind
    digest: str
    numeric_mode: str
    machine: Machine
    metrics: Mapping[str, float | None]
    test_images: int
    equivariance: EquivarianceName
    disagreement: str | None
    parameters: int
    macs: int
    train_images_per_second: float
    test_images_per_second: float
    train_seconds: float
    test_seconds: float
    peak_memory_bytes: int
    outputs: str | None
    """The sha256 under which its per-image outputs are kept, where they are."""
    test_pairs: int = 0
    """Pairs of an image of each of two classes."""
    sha256: str = ""
    """Of the record's file, where it was read from one."""


@dataclass(frozen=True)
class Results:
    """What a results directory holds. `findings` names in words each file that cannot enter a table."""

    runs: list[Run] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)
    unusable: dict[tuple[str, str, int], str] = field(default_factory=dict)
    """Why what stands in the place of a record is none that counts, by (benchmark@version, entry, seed)."""
    measurements: Mapping[tuple[str, str], Measurement] = field(default_factory=dict)
    """Who measured the records of submitted entries, by (benchmark@version, entry)."""


def read_results(results: Path, cards: Mapping[str, BenchmarkCard]) -> Results:
    """Read all records and failures below a results directory, in the order of their paths.

    Args:
        results: the directory; one that is not there holds nothing.
        cards: the registered benchmarks by full name; they say which group elements training has seen.
    """
    measurements, unreadable = read_measurements(results)
    found = Results(findings=unreadable, measurements=measurements)
    for file in read_files(results):
        content = file.content
        try:
            if isinstance(content, Failure):
                found.failures.append(content)
            elif isinstance(content, Record):
                made = run(content, file.kind, cards.get(content.benchmark))
                found.runs.append(replace(made, sha256=file.sha256))
            else:
                found.findings.append(as_line(f"{file.place}: {content}", 1_000))
                if cell := seed_of(file.place):
                    found.unusable[cell] = content
        except ValueError as error:
            found.findings.append(f"{file.place}: {error}")
    return found


def run(record: Record, kind: Kind, card: BenchmarkCard | None) -> Run:
    """What tables need of one record.

    Raises:
        ValueError: its counts have no metrics (a condition without images, an element that was not counted).
    """
    after = record.equivariance.after
    found: dict[str, float | None] = {}
    if card is not None:
        seen = card.evaluation.seen
        if not set(seen) <= record.counts.elements.keys():  # of another protocol under another version
            seen = tuple(record.spec["evaluation"]["seen"])
        found = metrics(record.counts, seen, invariance_error=after.invariance_error)
    equivariance, disagreement = decided(record.equivariance.exactness_after)
    return Run(
        benchmark=record.benchmark,
        entry=record.entry,
        seed=record.seed,
        kind=kind,
        digest=record.spec_digest,
        numeric_mode=record.provenance.numeric_mode,
        machine=Machine(record.provenance.device, record.provenance.device_name, record.provenance.threads),
        metrics=found,
        test_images=images(record.counts) if found else 0,
        test_pairs=pairs(record.counts) if found else 0,
        equivariance=equivariance,
        disagreement=disagreement,
        parameters=record.cost.parameters,
        macs=record.cost.macs,
        train_images_per_second=record.cost.train_images_per_second,
        test_images_per_second=record.cost.test_images_per_second,
        train_seconds=record.cost.train_seconds,
        test_seconds=record.cost.test_seconds,
        peak_memory_bytes=record.cost.peak_memory_bytes,
        outputs=record.outputs.sha256 if record.outputs else None,
    )


def decided(exactness: Exactness | None) -> tuple[EquivarianceName, str | None]:
    """What a record says of its network's equivariance after training, and the disagreement in it, if there is one.

    Certificate and decision that are exact and approximate, either way round, disagree: the answer is then unknown.
    Otherwise the measurement decides, and the certificate where nothing was measured.
    """
    if exactness is None:
        return "unknown", None
    certificate, decision = exactness.certificate, exactness.decision
    if certificate == "none":
        return "none", None
    if {certificate, decision} == {"exact", "approximate"}:
        where = f" (first break: {exactness.first_break})" if exactness.first_break else ""
        return "unknown", f"the certificate says {certificate}, the measurement {decision}{where}"
    return (certificate if decision == "unknown" else decision), None
