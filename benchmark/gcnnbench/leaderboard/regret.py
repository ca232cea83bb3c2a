"""The regret table of a family of benchmarks: what each network costs in its worst condition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many, interval, points, probability
from gcnnbench.layout import folded, pipes
from gcnnbench.leaderboard.notes import UNPAIRED
from gcnnbench.leaderboard.records import all_records, counted
from gcnnbench.runs.record import Record
from gcnnbench.statistics import Difference, holm, paired

Accuracies = Mapping[str, Mapping[str, Mapping[int, float]]]
"""By condition, entry and seed."""


@dataclass(frozen=True)
class Regret:
    """One entry's regrets, differences of shares, by condition; those it lacks records for are left out.

    `worst` is the condition of the largest one, paired over seeds with that condition's best fixed entry, and `p` what
    Holm makes of its p over all entries and conditions, as any of these could have been the worst.
    """

    entry: str
    learnt: bool
    regrets: Mapping[str, Difference]
    worst: str
    p: float | None = None

    @property
    def largest(self) -> float:
        """The regret in the worst condition, unclipped: below zero where it beats every fixed entry everywhere."""
        return self.regrets[self.worst].difference


@dataclass(frozen=True)
class RegretTable:
    """The regrets of a family, smallest worst case first, and the best fixed entry of each condition.

    A condition without a best entry has no fixed one with every seed; then no worst case is known, and there is no row.
    """

    family: str
    best: Mapping[str, str]
    rows: tuple[Regret, ...]
    incomplete: tuple[str, ...]
    """Entries that lack a seed under some condition: their worst case is not known, and they are not ranked."""
    seeds: Mapping[str, int]
    """The seeds of each condition."""
    devices: tuple[str, ...] = ()
    """The kinds of device that made the records."""


def regrets(family: str, accuracies: Accuracies, learnt: set[str], seeds: Mapping[str, int]) -> RegretTable:
    """`max over conditions of (best fixed accuracy − own)`, each the mean over seeds of differences within a seed.

    Only entries with every seed of a condition take part in it, so that all are judged by the same draws.

    Args:
        family: its name.
        accuracies: shares in [0, 1].
        learnt: the entries whose symmetry is learnt; all others are fixed.
        seeds: how many seeds the protocol of each condition of the family has, from 0 upwards.
    """
    best: dict[str, str] = {}
    complete: dict[str, dict[str, list[float]]] = {}
    for condition, by_entry in accuracies.items():
        asked = range(seeds[condition])
        here = {entry: [own[seed] for seed in asked] for entry, own in by_entry.items() if {*asked} <= {*own}}
        fixed = [entry for entry in here if entry not in learnt]
        if fixed:
            best[condition] = max(fixed, key=lambda entry: mean(here[entry]))
            complete[condition] = here
    entries = list(dict.fromkeys(entry for by_entry in accuracies.values() for entry in by_entry))
    rows, incomplete = [], []
    for entry in entries:
        found = {}
        for condition, here in complete.items():
            if entry in here:
                champion = here[best[condition]]
                found[condition] = paired([one - own for one, own in zip(champion, here[entry], strict=True)])
        if found.keys() == seeds.keys():
            worst = max(found, key=lambda condition: found[condition].difference)
            rows.append(Regret(entry, entry in learnt, found, worst))
        else:
            incomplete.append(entry)
    adjusted = holm({(row.entry, where): found.p for row in rows for where, found in row.regrets.items()})
    ranked = sorted((replace(row, p=adjusted[row.entry, row.worst]) for row in rows), key=lambda row: row.largest)
    return RegretTable(family, best, tuple(ranked), tuple(incomplete), seeds)


def regret_table(registry: Registry, results: Path, family: str) -> RegretTable:
    """The regrets of a family from its records, by the metric that its benchmarks rank by.

    An entry is learnt where its records hold readings of the probe `degree`.

    Raises:
        UserError: there is no such family.
    """
    found: dict[str, dict[str, dict[int, float]]] = {}
    learnt, devices = set[str](), set[str]()
    cards = {condition_of(card): card for card in registry.family(family)}
    for entry, by_condition in family_records(registry, results, family).items():
        for condition, records in by_condition.items():
            values = {record.seed: record.metrics.get(cards[condition].rank_by) for record in records}
            here = {seed: value for seed, value in values.items() if value is not None}
            found.setdefault(condition, {})[entry] = here
            devices.update(record.provenance.device for record in records)
            if any((record.probes or {}).get("degree") for record in records):
                learnt.add(entry)
    table = regrets(family, found, learnt, {condition: card.seeds for condition, card in cards.items()})
    return replace(table, devices=tuple(sorted(devices)))


def family_records(registry: Registry, results: Path, family: str) -> dict[str, dict[str, list[Record]]]:
    """The records that tables count, by entry and condition, both in the order of the cards.

    Raises:
        UserError: there is no such family.
    """
    cards = registry.family(family)
    kept = all_records(registry, results, cards)
    found: dict[str, dict[str, list[Record]]] = {}
    for card in cards:
        here = counted(kept[card.full_name])
        for entry in card.entries:
            if here.get(entry):
                found.setdefault(entry, {})[condition_of(card)] = [one.record for one in here[entry]]
    return found


def condition_of(card: BenchmarkCard) -> str:
    """What a benchmark's name adds to that of its family."""
    return card.name.removeprefix(f"{card.family}-")


def as_markdown(table: RegretTable) -> str:
    """The table as Markdown: regrets in points, the worst one with its 95% interval and p.

    Raises:
        UserError: it has no row.
    """
    if not table.rows:
        lacking = [condition for condition in table.seeds if condition not in table.best]
        raise UserError(
            f"no entry of the family {table.family} has every seed of every condition"
            + (f"; no fixed one has those of {', '.join(lacking)}" if lacking else "")
        )
    conditions = list(table.best)
    rows = [
        [
            row.entry,
            "learnt" if row.learnt else "fixed",
            *(points(row.regrets[condition].difference) for condition in conditions),
            f"{points(row.largest)} ({row.worst})",
            interval(row.regrets[row.worst].interval),
            probability(row.p),
        ]
        for row in table.rows
    ]
    headings = ["entry", "symmetry", *conditions, "worst", "95%", "p (Holm)"]
    best = ", ".join(f"{entry} ({condition})" for condition, entry in table.best.items())
    counts = sorted(set(table.seeds.values()))
    over = how_many(counts[0], "seed") if len(counts) == 1 else f"{counts[0]} to {counts[-1]} seeds"
    notes = (
        f"Regret in points: best fixed entry of the condition minus own, paired over {over}. Best fixed: {best}. "
        "Holm's p is over all entries and conditions; the best fixed entries are chosen from the same records, which "
        "favours them."
    )
    if table.incomplete:
        notes += f" Not ranked, for want of seeds: {', '.join(table.incomplete)}."
    if len(table.devices) > 1:
        notes += f" Records are of several kinds of device ({', '.join(table.devices)}): {UNPAIRED}."
    return f"{pipes((headings, rows, 'll' + 'r' * (len(conditions) + 3)))}\n\n{folded(notes)}\n"
