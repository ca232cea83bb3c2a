"""Gathers what our records say about claims: every official run of the current protocol, by benchmark and entry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.protocols import difference_from_now
from gcnnbench.data.copies import on_copies
from gcnnbench.formatting import listed
from gcnnbench.leaderboard.frame import current_digests, excluded
from gcnnbench.leaderboard.reading import Run, run
from gcnnbench.runs.files import read_files
from gcnnbench.runs.record import Failure, Record
from gcnnbench.scoring.metrics import angle_accuracies

QUARTER_TURNS = ("accuracy.rot90", "accuracy.rot180", "accuracy.rot270")


@dataclass(frozen=True)
class Evidence:
    """What claims are judged by, of one record. Curves are by angle in degrees or by epoch."""

    run: Run
    curves: Mapping[str, Mapping[int, float]]
    growth: float | None
    started: str

    def quantity(self, name: str) -> float | None:
        """A metric, `accuracy.quarter_turns`, `parameters` or `macs`; null where it is not defined."""
        if name == "parameters":
            return float(self.run.parameters)
        if name == "macs":
            return float(self.run.macs)
        if name == "accuracy.quarter_turns":
            turns = [found for turn in QUARTER_TURNS if (found := self.run.metrics.get(turn)) is not None]
            return mean(turns) if len(turns) == len(QUARTER_TURNS) else None  # exact, as an identity asks for
        return self.run.metrics.get(name)


def gather(registry: Registry, results: Path) -> dict[tuple[str, str], list[Evidence]]:
    """The evidence by (benchmark's name, entry), in the order of the seeds.

    Seeds beyond those of the protocol count here if all seeds below them are there: claims may need more seeds than
    a leaderboard, but nobody may pick them. Of runs in several numeric modes only those of the first seed's count.
    """
    registry = on_copies(registry, results)
    cards = {card.full_name: card for card in registry.benchmarks.values()}
    expected = current_digests(registry, cards.values())
    found: dict[tuple[str, str], list[Evidence]] = {}
    for file in read_files(results):
        card = cards.get(file.place.parts[0])
        if not isinstance(file.content, Record) or card is None:
            continue
        made = run(file.content, file.kind, card)
        if _why_aside(made, card, expected) is None:
            found.setdefault((card.name, made.entry), []).append(evidence(file.content, made))
    return {key: _countable(runs, registry.benchmark(key[0]).seeds) for key, runs in found.items()}


def set_aside(registry: Registry, results: Path) -> dict[tuple[str, str], str]:
    """Why none of the records of an entry that are there speaks to claims, by (benchmark's name, entry).

    For records of another protocol, the items in which it differs from the one that the benchmark has now.
    """
    registry = on_copies(registry, results)
    expected = current_digests(registry, registry.benchmarks.values())
    told: dict[tuple[str, str], str] = {}
    speaking: set[tuple[str, str]] = set()
    for file in read_files(results):
        record = file.content
        card = registry.benchmarks.get(file.place.parts[0].partition("@")[0])
        if not isinstance(record, Record) or card is None or record.entry not in card.entries:
            continue
        why = _why_aside(run(record, file.kind, card), card, expected)
        if why is None:
            speaking.add((card.name, record.entry))
            continue
        differing = difference_from_now(registry, record, card)
        if record.benchmark != card.full_name:
            text = f"is of {record.benchmark}" + (f": {differing}" if differing else f", which is {why}")
        else:
            text = f"has another protocol: {differing}" if differing else f"is {why}"
        told.setdefault((card.name, record.entry), f"{record.entry}: its record of seed {record.seed} {text}")
    return {cell: why for cell, why in told.items() if cell not in speaking}


def failed_seeds(registry: Registry, results: Path) -> dict[tuple[str, str], str]:
    """The seeds that the evidence lacks as they failed under the protocol of today, by (benchmark's name, entry)."""
    registry = on_copies(registry, results)
    cards = {card.full_name: card for card in registry.benchmarks.values()}
    expected = current_digests(registry, cards.values())
    found: dict[tuple[str, str], list[int]] = {}
    for file in read_files(results):
        failure = file.content
        if not isinstance(failure, Failure) or not failure.official or failure.benchmark not in cards:
            continue
        if failure.spec_digest == expected.get((failure.benchmark, failure.entry)):
            found.setdefault((cards[failure.benchmark].name, failure.entry), []).append(failure.seed)
    return {cell: f"{cell[1]}: left out as failed, {listed(tuple(sorted(seeds)))}" for cell, seeds in found.items()}


def _why_aside(made: Run, card: BenchmarkCard, expected: Mapping[tuple[str, str], str]) -> str | None:
    """Why a run speaks to no claim; null where it does. Seeds beyond the protocol's do."""
    why, _ = excluded(made, card, expected)
    return None if why == "extra seed" else "a repeat" if why == "repeat" else why


def evidence(record: Record, made: Run) -> Evidence:
    """What claims are judged by, of one record."""
    history = record.training.history
    validation = {epoch.epoch: epoch.validation_accuracy for epoch in history}
    return Evidence(
        run=made,
        curves={
            "accuracy.angle": angle_accuracies(record.counts),
            "train_accuracy.epoch": {epoch.epoch: epoch.train_accuracy for epoch in history},
            "validation_accuracy.epoch": {place: value for place, value in validation.items() if value is not None},
        },
        growth=_growth(record),
        started=record.provenance.started,
    )


def _growth(record: Record) -> float | None:
    before, after = record.equivariance.before.invariance_error, record.equivariance.after.invariance_error
    return None if before is None or after is None else after - before


def _countable(runs: Sequence[Evidence], protocol_seeds: int) -> list[Evidence]:
    """The protocol's seeds, and the further ones without a gap below them, in one numeric mode."""
    ordered = sorted(runs, key=lambda one: one.run.seed)
    same = [one for one in ordered if one.run.numeric_mode == ordered[0].run.numeric_mode]
    return [one for place, one in enumerate(same) if one.run.seed < protocol_seeds or one.run.seed == place]
