"""Makes boards from runs: which records count, rows with their summaries, ranks and pairs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.registry import Registry
from gcnnbench.leaderboard.board import Board, Missing, NotCounted, Row, Speed
from gcnnbench.leaderboard.folds import folds_of, tested_images
from gcnnbench.leaderboard.pairs import pairs
from gcnnbench.leaderboard.reading import EquivarianceName, Machine, Results, Run
from gcnnbench.leaderboard.row_difference import difference
from gcnnbench.runs.measured import Grade, Measurement
from gcnnbench.runs.record import Failure
from gcnnbench.runs.spec import spec, spec_digest
from gcnnbench.statistics import Summary, binomial_error, summary

Cell = tuple[str, int]
"""Entry and seed."""

LIMITED = "limited: run with --limit only"


def current_digests(registry: Registry, cards: Iterable[BenchmarkCard]) -> dict[tuple[str, str], str]:
    """The spec digest that the registry asks for today, by (full name of the benchmark, entry)."""
    return {
        (card.full_name, entry): spec_digest(spec(registry, card, entry)) for card in cards for entry in card.entries
    }


def boards(
    cards: Sequence[BenchmarkCard],
    models: Mapping[str, ModelCard],
    results: Results,
    expected: Mapping[tuple[str, str], str],
) -> list[Board]:
    """One board for each benchmark.

    Only official records of the current version with the current spec digest enter; a repeat is no seed.

    Args:
        cards: the benchmarks.
        models: the model cards by slug.
        results: what the results directory holds.
        expected: the current spec digest by (full name of the benchmark, entry).
    """
    runs: dict[str, list[Run]] = defaultdict(list)
    failures: dict[str, list[Failure]] = defaultdict(list)
    for run in results.runs:
        runs[run.benchmark.partition("@")[0]].append(run)
    for failure in results.failures:
        failures[failure.benchmark].append(failure)
    made = [
        _board(card, models, runs[card.name], failures[card.full_name], results.unusable, expected) for card in cards
    ]
    return [_measured(board, results.measurements) for board in made]


def _measured(board: Board, measurements: Mapping[tuple[str, str], Measurement]) -> Board:
    """The board, its rows of submitted entries with who measured each seed."""

    def measured(row: Row) -> Mapping[Grade, tuple[int, ...]]:
        found = measurements.get((board.benchmark, row.entry))
        kept = found.measured if found else {}
        grades: dict[int, Grade] = {s: kept.get(f"seed-{s}.json", "self-reported") for s in row.seeds if found}
        return {grade: tuple(s for s in grades if grades[s] == grade) for grade in dict.fromkeys(grades.values())}

    return replace(board, rows=tuple(replace(row, measured=measured(row)) for row in board.rows))


def _board(
    card: BenchmarkCard,
    models: Mapping[str, ModelCard],
    runs: Sequence[Run],
    failures: Sequence[Failure],
    unusable: Mapping[tuple[str, str, int], str],
    expected: Mapping[tuple[str, str], str],
) -> Board:
    counted: dict[str, list[Run]] = defaultdict(list)
    aside: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    reasons: dict[Cell, str] = {}
    for (benchmark, entry, seed), what in unusable.items():
        if benchmark == card.full_name:
            reasons[entry, seed] = f"unusable record: {what}"
    for failure in failures:
        if not failure.official:
            reasons.setdefault((failure.entry, failure.seed), LIMITED)
        elif failure.spec_digest == expected.get((card.full_name, failure.entry)):
            epoch = "" if failure.epoch is None else f", epoch {failure.epoch}"
            reasons[failure.entry, failure.seed] = f"failed ({failure.phase}{epoch}): {failure.reason}"
    for run in sorted(runs, key=lambda run: (run.benchmark, run.entry, run.seed)):
        why, reason = excluded(run, card, expected)
        if why is None:
            counted[run.entry].append(run)
        else:
            aside[run.benchmark, run.entry, why].add(run.seed)
            if reason:
                reasons.setdefault((run.entry, run.seed), reason)
    findings = [finding for entry in card.entries for finding in _findings(entry, counted[entry])]
    rows = [
        row
        for entry in card.entries
        for row in _rows(card, models[split_entry(entry)[0]], entry, counted[entry], reasons)
    ]
    ranked = tuple(_ranked(rows, card.rank_by))
    return Board(
        benchmark=card.full_name,
        title=card.title + (f" (superseded by version {card.superseded_by})" if card.superseded_by else ""),
        rank_by=card.rank_by,
        protocol_seeds=card.seeds,
        rows=ranked,
        pairs=pairs(ranked, models),
        not_counted=tuple(NotCounted(*key, tuple(sorted(seeds))) for key, seeds in sorted(aside.items())),
        findings=tuple(findings),
    )


def excluded(run: Run, card: BenchmarkCard, expected: Mapping[tuple[str, str], str]) -> tuple[str | None, str | None]:
    """Why a run enters no row (null where it does), and why its seed is missing on that account."""
    if run.benchmark != card.full_name:
        older = int(run.benchmark.partition("@")[2]) < card.version
        why = "superseded" if older else "of a newer version"
        return why, f"not run; a record of {run.benchmark} is {why}"
    if run.entry not in card.entries:
        return "no entry of the card", None
    if run.kind == "unofficial":
        return "unofficial", LIMITED
    if run.kind == "stale" or run.digest != expected[card.full_name, run.entry]:
        return "stale", f"stale: made by another protocol ({run.digest[:8]})"
    if run.kind == "repeat":
        return "repeat", None
    if run.seed >= card.seeds:
        return "extra seed", None
    return None, None


def _findings(entry: str, runs: Sequence[Run]) -> Iterable[str]:
    yield from (f"{entry} seed {run.seed}: {run.disagreement}" for run in runs if run.disagreement)
    verdicts = {run.equivariance: run.seed for run in reversed(runs)}
    if len(verdicts) > 1:
        told = ", ".join(f"{verdict} (seed {seed})" for verdict, seed in sorted(verdicts.items()))
        yield f"{entry}: its records disagree on equivariance: {told}"
    counts = {run.parameters: run.seed for run in reversed(runs)}
    if len(counts) > 1:
        told = ", ".join(f"{count} (seed {seed})" for count, seed in sorted(counts.items()))
        yield f"{entry}: its records disagree on the number of parameters: {told}"


def _rows(
    card: BenchmarkCard, model: ModelCard, entry: str, runs: Sequence[Run], reasons: Mapping[Cell, str]
) -> Iterable[Row]:
    by_mode: dict[str | None, list[Run]] = defaultdict(list)
    for run in runs:
        by_mode[run.numeric_mode].append(run)
    if not by_mode:
        by_mode[None] = []
    elsewhere = {run.seed: f"not run in this numeric mode; a record is {run.numeric_mode}" for run in runs}
    for mode in sorted(by_mode, key=str):
        here = by_mode[mode]
        seeds = tuple(run.seed for run in here)
        missing = [seed for seed in range(card.seeds) if seed not in seeds]
        why = {seed: elsewhere.get(seed) or reasons.get((entry, seed), "not run") for seed in missing}
        metrics = _summaries([run.metrics for run in here])
        folds = folds_of(card, here)
        upright, images = metrics.get("accuracy.upright"), tested_images(folds, here) if here else None
        yield Row(
            entry=entry,
            rank=None,
            tied=False,
            group=model.group,
            equivariance=_equivariance(model, here),
            numeric_mode=mode,
            seeds=seeds,
            missing=tuple(Missing(seed, why[seed]) for seed in missing),
            metrics=metrics,
            test_images=images,
            test_set_error=binomial_error(upright.mean, images) if upright and images else None,
            parameters=here[0].parameters if here else None,
            macs=here[0].macs if here else None,
            speeds=tuple(_speeds(here)),
            spec_digest=here[0].digest if here else None,
            records=tuple(run.sha256 for run in here),
            folds=folds,
            learnt=model.claim_at(split_entry(entry)[1]) == "learnt",
        )


def _equivariance(model: ModelCard, runs: Sequence[Run]) -> EquivarianceName:
    if model.group == "trivial":
        return "none"
    verdicts: set[EquivarianceName] = {run.equivariance for run in runs}
    return verdicts.pop() if len(verdicts) == 1 else "unknown"


def _summaries(found: Sequence[Mapping[str, float | None]]) -> dict[str, Summary | None]:
    """The summary of each metric over seeds; null where a seed lacks it: what is missing is never averaged over."""
    summaries: dict[str, Summary | None] = {}
    for name in found[0] if found else ():
        values = [value for metrics in found if (value := metrics.get(name)) is not None]
        summaries[name] = summary(values) if len(values) == len(found) else None
    return summaries


def _speeds(runs: Sequence[Run]) -> Iterable[Speed]:
    by_machine: dict[Machine, list[Run]] = defaultdict(list)
    for run in runs:
        by_machine[run.machine].append(run)
    for machine, here in by_machine.items():
        yield Speed(
            machine=machine,
            train_images_per_second=summary([run.train_images_per_second for run in here]),
            test_images_per_second=summary([run.test_images_per_second for run in here]),
            train_seconds=summary([run.train_seconds for run in here]),
            test_seconds=summary([run.test_seconds for run in here]),
            peak_memory_bytes=max(run.peak_memory_bytes for run in here),
        )


def _ranked(rows: Sequence[Row], rank_by: str) -> Iterable[Row]:
    """The complete rows by falling mean, then the incomplete ones, then those without any record."""

    def mean(row: Row) -> float:
        found = row.metrics.get(rank_by)
        return found.mean if found else float("-inf")

    complete = [row for row in rows if not row.missing and row.metrics.get(rank_by)]
    rest = [row for row in rows if row.missing or not row.metrics.get(rank_by)]
    above: Row | None = None
    for position, row in enumerate(sorted(complete, key=mean, reverse=True), start=1):
        test = difference(rank_by, above, row) if above else None
        yield replace(row, rank=position, tied=above is not None and not (test and test.separates))
        above = row
    yield from sorted(rest, key=mean, reverse=True)
