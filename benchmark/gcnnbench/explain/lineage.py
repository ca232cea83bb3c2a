"""Traces a number of a table to records, counts, protocol, data, code, machine, and the claims about it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.elements import ELEMENTS
from gcnnbench.cards.messages import choice
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.claims import claims_file
from gcnnbench.claims.evidence import gather
from gcnnbench.claims.judging import judge_claims
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.rows import ClaimRow, about, warn_of_edits
from gcnnbench.claims.tolerances import tolerances_since
from gcnnbench.compare.revision import in_history
from gcnnbench.data.copies import on_copies
from gcnnbench.errors import UserError
from gcnnbench.explain.explanation import DataFile, Explanation, File, Origin, Value, machine
from gcnnbench.explain.metric_counts import ELSEWHERE, tally
from gcnnbench.explain.metric_names import metric_named
from gcnnbench.leaderboard.folds import folds_of, tested_images
from gcnnbench.leaderboard.records import StoredRecord, counted, stored_records
from gcnnbench.plain_files import read_plain
from gcnnbench.runs.files import OUTPUTS_BYTES, blob, read_files, seed_of, weights_path
from gcnnbench.runs.record import Provenance
from gcnnbench.runs.spec import spec, spec_digest
from gcnnbench.statistics import binomial_error, summary


def explain(
    registry: Registry, results: Path, benchmark: str, entry: str, metric: str | None = None, seed: int | None = None
) -> Explanation:
    """Explain one number of a leaderboard.

    Args:
        registry: holds the cards.
        results: the results directory.
        benchmark: `name` or `name@version`.
        entry: `slug@size`, one of the benchmark's.
        metric: as the JSON form of the leaderboard names it, or without `accuracy.`; else the one it is ranked by.
        seed: explain the records of this seed alone, those that no table counts among them; one that counts comes
            first.

    Raises:
        UserError: there is no such benchmark, entry, metric or usable record.
    """
    registry = on_copies(registry, results)
    (card,) = registry.chosen([benchmark], [entry])
    registry = registry.at(card)
    name = metric_named(metric or card.rank_by, ELEMENTS[card.evaluation.group])
    kept = [one for one in stored_records(registry, results, card) if one.run.entry == entry]
    of_seed = [one for one in kept if seed in (None, one.run.seed)]
    if seed is None:
        chosen = counted(kept).get(entry, [])
    else:
        of_version = [one for one in of_seed if one.record.benchmark == card.full_name]
        chosen = sorted(of_version, key=lambda one: one.excluded is not None)
    if not chosen:
        raise UserError(_nothing(card, entry, seed, kept, _unusable(results, card, entry)))
    _refuse_undefined(name, chosen, card)
    values = [_value(one, name, results, card) for one in chosen]
    numbers = [value.value for value in values if value.value is not None]
    mean = numbers[0] if seed is not None else summary(numbers).mean
    record, runs = chosen[0].record, [one.run for one in chosen]
    folds = folds_of(card, runs)
    images = tested_images(folds, runs)
    dataset, model = registry.dataset(card.dataset), registry.model(split_entry(entry)[0])
    claims = _claims(registry, results, card, entry, name) if seed is None else ()
    return Explanation(
        results=str(results),
        benchmark=card.full_name,
        title=card.title,
        entry=entry,
        metric=name,
        summary=summary(numbers) if seed is None else None,
        protocol_seeds=card.seeds,
        missing=tuple(sorted(set(range(card.seeds)) - {one.run.seed for one in chosen})) if seed is None else (),
        test_images=images,
        folds=card.split.folds,
        test_set_error=binomial_error(mean, images) if name.startswith("accuracy.") or name == "flips" else None,
        values=tuple(values),
        not_counted=tuple(_value(one, name, results, card) for one in of_seed if one.excluded and one not in chosen),
        origins=tuple(_origins(chosen)),
        spec_digest=record.spec_digest,
        spec=record.spec,
        spec_is_current=record.spec_digest == spec_digest(spec(registry, card, entry)),
        assumptions={card.full_name: card.assumptions, model.name: model.assumptions},
        dataset=card.dataset,
        data=record.spec.get("data", {}),
        data_files=tuple(DataFile(file.path, file.bytes, file.md5) for file in dataset.files),
        claims=claims,
        sources={
            source: registry.bibliography[source]
            for source in dict.fromkeys(row.source for row in claims)
            if source in registry.bibliography  # the user's own cards need no citation
        },
    )


def _unusable(results: Path, card: BenchmarkCard, entry: str) -> dict[int, str]:
    """What is wrong with the records of an entry that cannot be used, by seed."""
    found = {}
    for file in read_files(results):
        cell = seed_of(file.place)
        if isinstance(file.content, str) and cell is not None and cell[:2] == (card.full_name, entry):
            found[cell[2]] = f"{file.place.name} {file.content}"
    return found


def _nothing(
    card: BenchmarkCard, entry: str, seed: int | None, kept: Sequence[StoredRecord], unusable: Mapping[int, str]
) -> str:
    other = sorted({one.record.benchmark for one in kept} - {card.full_name})
    elsewhere = f"; there are records of {', '.join(other)}, under that name" if other else ""
    kept = [one for one in kept if one.record.benchmark == card.full_name]
    if seed is not None:
        if seed in unusable:
            again = f"gcnnbench verify records --benchmark {card.short_name} --entry {entry}"
            return f"the record of seed {seed} cannot be used: {unusable[seed]}; {again}"
        have = ", ".join(str(number) for number in sorted({one.run.seed for one in kept})) or "none"
        also = f"(seeds with one: {have})"
        command = card.how_to_run(f" --entry {entry} --seeds {seed}")
        return f"{entry} has no record of seed {seed} of {card.full_name} {also}: {command}{elsewhere}"
    aside = ", ".join(
        [*(f"seed {one.run.seed}: {one.excluded}" for one in kept), *(f"seed {one}: unusable" for one in unusable)]
    )
    also = f" (not counted are {aside}; --seed explains them)" if aside else ""
    command = card.how_to_run(f" --entry {entry}")
    return f"{entry} has no record of {card.full_name} that counts{also}: {command}{elsewhere}"


def _refuse_undefined(name: str, chosen: Sequence[StoredRecord], card: BenchmarkCard) -> None:
    """Refuse a metric that a record lacks, and name those that all have.

    Raises:
        UserError: it is not defined for one of them.
    """
    if any(one.run.metrics.get(name) is None for one in chosen):
        defined = [
            other for other in chosen[0].run.metrics if all(one.run.metrics.get(other) is not None for one in chosen)
        ]
        why = ": training has seen every element" if name == "accuracy.unseen" else ""
        raise UserError(
            f"{name} is not defined for {chosen[0].run.entry} in {card.full_name}{why}; {choice(None, defined)}"
        )


def _value(kept: StoredRecord, metric: str, results: Path, card: BenchmarkCard) -> Value:
    record, run = kept.record, kept.run
    path = results / kept.place
    outputs = record.outputs
    return Value(
        seed=run.seed,
        value=run.metrics.get(metric),
        tally=tally(metric, record.counts, card.evaluation.seen),
        field=ELSEWHERE.get(metric),
        record=kept.place.as_posix(),
        sha256=kept.sha256,
        spec_digest=record.spec_digest,
        tested_epoch=record.training.tested_epoch,
        weights=_file(weights_path(path, results, record), results, record.weights.sha256, record.weights.bytes),
        outputs=_file(blob(results, outputs.sha256), results, outputs.sha256, outputs.bytes) if outputs else None,
        excluded=kept.excluded,
    )


def _file(path: Path, results: Path, sha256: str, size: int) -> File:
    place = path.relative_to(results).as_posix()
    if not path.exists():
        return File(place, sha256, size, "not here")
    try:
        found = hashlib.sha256(read_plain(path, OUTPUTS_BYTES)).hexdigest()
    except OSError:
        found = ""
    return File(place, sha256, size, "here" if found == sha256 else "altered")


def _origins(chosen: Sequence[StoredRecord]) -> list[Origin]:
    """The records by what made them: commit, machine and versions."""
    groups: dict[tuple[object, ...], list[tuple[int, Provenance]]] = {}
    for one in chosen:
        made = one.record.provenance
        key = (made.commit, made.dirty, machine(made), made.numeric_mode, tuple(sorted(made.versions.items())))
        groups.setdefault(key, []).append((one.run.seed, made))
    return [
        Origin(
            seeds=tuple(seed for seed, _ in group),
            commit=(made := group[0][1]).commit,
            dirty=made.dirty,
            in_history=in_history(made.commit) if made.commit else None,
            machine=machine(made),
            numeric_mode=made.numeric_mode,
            versions=made.versions,
            started=min(one.started for _, one in group),
            finished=max(one.finished for _, one in group),
        )
        for group in groups.values()
    ]


def _claims(registry: Registry, results: Path, card: BenchmarkCard, entry: str, metric: str) -> tuple[ClaimRow, ...]:
    """The claims that this number speaks to, judged as `verify claims` judges them."""
    rows = judge_claims(registry, read_claims(registry), gather(registry, results))
    ours = about(rows, card.full_name, entry, metric)
    since = {source: tolerances_since(claims_file(registry, source)) for source in {row.source for row in ours}}
    return tuple(warn_of_edits(ours, since))
