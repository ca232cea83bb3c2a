"""The records of a bundle against each other, its card, today's protocol and the files beside them; nothing is run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gcnnbench.cards.base import split_entry
from gcnnbench.equivariance.results import EquivarianceState, Exactness
from gcnnbench.formatting import how_many
from gcnnbench.record_checks.recomputing import verify_records
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.files import blob, weights_path
from gcnnbench.runs.record import Record
from gcnnbench.runs.store import Store
from gcnnbench.runs.weights_only import STEM, WeightsOnly, weights_of, weights_only_path
from gcnnbench.scoring.metrics import Counts
from gcnnbench.strict_json import parse_model
from gcnnbench.submissions.bundle import Bundle
from gcnnbench.submissions.findings import Finding, Refused, guarded
from gcnnbench.submissions.manifest import RECORD_BYTES
from gcnnbench.submissions.tree import read_inside

REMEDY = "ask for the bundle of an unedited `gcnnbench submit`"


def record_findings(bundle: Bundle, cells: Sequence[Cell]) -> list[Finding]:
    """Everything that is wrong with the records of a bundle and can be seen without running anything."""
    findings = [*_incomplete(bundle, cells), *_unsound(bundle)]
    if findings:
        return findings
    found = [stated_by(bundle, cell) for cell in cells]
    for cell, one in zip(cells, found, strict=True):
        findings += _against_card(cell, one)
    return [*findings, *_astray(bundle, found)]


@dataclass(frozen=True)
class Stated:
    """What a record, or a score of weights that came trained, says of its outputs, weights and measurements."""

    place: Path
    counts: Counts
    parameters: int
    macs: int
    after: EquivarianceState
    exactness: Exactness | None
    probes: dict[str, Any] | None
    outputs: Path | None
    weights: Path


def stated_by(bundle: Bundle, cell: Cell) -> Stated:
    """What a bundle keeps of a cell, and where.

    Raises:
        Refused: there is no record of it.
    """
    results = bundle.results
    if not bundle.submission.trained_elsewhere:
        record = record_of(bundle, cell)
        place = Store(results).record_path(cell)
        return Stated(
            place,
            record.counts,
            record.cost.parameters,
            record.cost.macs,
            record.equivariance.after,
            record.equivariance.exactness_after,
            record.probes,
            blob(results, record.outputs.sha256) if record.outputs else None,
            weights_path(place, results, record),
        )
    place = weights_only_path(results, cell.card.full_name, cell.entry)
    found = parse_model(read_inside(results, place.relative_to(results).as_posix(), RECORD_BYTES), WeightsOnly)
    return Stated(
        place,
        found.counts,
        found.parameters,
        found.macs,
        found.equivariance,
        found.exactness,
        found.probes,
        blob(results, found.outputs.sha256),
        weights_of(results, found),
    )


def record_of(bundle: Bundle, cell: Cell) -> Record:
    """The record of a cell.

    Raises:
        Refused: there is none.
    """
    record = Store(bundle.results).record(cell)
    if record is None:
        raise Refused([Finding(check="completeness", what=f"{cell.name} has no record", remedy=REMEDY)])
    return record


def _against_card(cell: Cell, found: Stated) -> Iterator[Finding]:
    """What the card claims and the record measured: the same, whatever was edited afterwards."""
    size, classes = split_entry(cell.entry)[1], cell.registry.dataset(cell.card.dataset).classes
    stated = cell.model.count_at(cell.card.input.channels, classes, size)
    if stated is not None:
        for check, said, measured in (
            ("parameters", stated.count, found.parameters),
            ("macs", stated.macs, found.macs),
        ):
            if said != measured:
                what = f"{cell.name}: the card says {said} {check}, and the record {measured}"
                yield Finding(check=check, what=what, remedy=REMEDY)
    claimed = cell.model.claim_at(size)
    decided = found.exactness.decision if found.exactness else None
    if {claimed, decided} == {"exact", "approximate"}:
        what = f"{cell.name}: the card says {claimed} at {size}, and the record was found {decided}"
        yield Finding(check="exactness", what=what, remedy=REMEDY)


def _astray(bundle: Bundle, found: Iterable[Stated]) -> Iterator[Finding]:
    """Files that a record names and the bundle lacks, and files that no record names."""
    named = {
        path.relative_to(bundle.path).as_posix(): one
        for one in found
        for path in (one.place, one.weights, one.outputs)
        if path is not None
    }
    for name, one in named.items():
        if name not in bundle.manifest.files:
            what = f"{name} is missing, which {one.place.relative_to(bundle.results)} names"
            yield Finding(check="missing-file", what=what, remedy=REMEDY)
    for name in bundle.manifest.files:
        if name.startswith("results/") and name not in named:
            yield Finding(check="completeness", what=f"{name} is of no record", remedy=REMEDY)


def _incomplete(bundle: Bundle, cells: Sequence[Cell]) -> Iterator[Finding]:
    """All seeds of every entered benchmark, as its protocol is today, and nothing else."""
    wanted: dict[tuple[str, str], set[int]] = {}
    for cell in cells:
        wanted.setdefault((cell.card.full_name, cell.entry), set()).add(cell.seed)
    trials = bundle.manifest.trials
    stated = {(trial.benchmark, trial.entry): set(trial.seeds) for trial in trials}
    if sum(len(trial.seeds) for trial in trials) + len(trials) != sum(map(len, stated.values())) + len(stated):
        yield Finding(check="completeness", what="the manifest names a trial or a seed twice", remedy=REMEDY)
    remedy = "run every seed that the protocol has: all or none, so that nobody picks"
    trained = not bundle.submission.trained_elsewhere
    for (benchmark, entry), seeds in wanted.items():
        place = f"results/{benchmark}/{entry}"
        files = {f"{place}/seed-{seed}.json" if trained else f"{place}/{STEM}.json": seed for seed in seeds}
        there = {seed for name, seed in files.items() if name in bundle.manifest.files}
        if there != seeds or stated.get((benchmark, entry)) != (seeds if trained else set()):
            lacking = ", ".join(str(seed) for seed in sorted(seeds - there)) or "none in its files"
            what = f"{benchmark} {entry} has not the {how_many(len(seeds), 'seed')} of the protocol; missing: {lacking}"
            yield Finding(check="completeness", what=what, remedy=remedy)
    for benchmark, entry in stated.keys() - wanted.keys():
        what = f"{benchmark} {entry} is no entry of the card, or of another version of the benchmark"
        yield Finding(check="completeness", what=what, remedy=remedy)
    expected = {f"{benchmark}/{entry}" for benchmark, entry in wanted}
    for name in bundle.manifest.files:
        folder = name.removeprefix("results/").rpartition("/")[0]
        if name.startswith("results/") and folder != "outputs" and folder not in expected:
            yield Finding(check="completeness", what=f"{name} is of no entry of the card", remedy=remedy)


def _unsound(bundle: Bundle) -> Iterator[Finding]:
    """What recomputing the records shows, and records of another protocol than today's."""
    with guarded(bundle.results, "record"):
        rows = verify_records(bundle.submission.registry, bundle.results)
    for row in rows:
        for wrong in row.findings:
            yield Finding(check="record", what=f"{row.id}: {wrong}", remedy=REMEDY)
        for note in row.notes:
            if "not on the leaderboard" in note:
                remedy = "submit again with this version of the suite"
                yield Finding(check="protocol", what=f"{row.id}: {note}", remedy=remedy)
