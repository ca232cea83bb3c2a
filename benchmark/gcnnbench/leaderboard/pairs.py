"""The pair table: what an exact network of an architecture gains or loses against its approximate siblings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.leaderboard.board import ACCURACIES, Contrast, Pair, Row
from gcnnbench.leaderboard.row_difference import common_seeds, compared, difference
from gcnnbench.statistics import holm


def pairs(rows: Sequence[Row], models: Mapping[str, ModelCard]) -> tuple[Pair, ...]:
    """All pairs of an exact and an approximate entry of one architecture in one numeric mode.

    What is exact is taken from the records; where they do not know, from what the model card claims.
    """
    verdicts = [(row, _verdict(row, models)) for row in rows]
    found = [
        _pair(exact, approximate)
        for exact, verdict in verdicts
        if verdict == "exact"
        for approximate, other in verdicts
        if other == "approximate" and _same_architecture(exact, approximate)
    ]
    ordered = sorted(
        found, key=lambda pair: (pair.architecture, split_entry(pair.exact), split_entry(pair.approximate))
    )
    for metric in ACCURACIES:
        tests = {
            (place, number): contrast.p
            for place, pair in enumerate(ordered)
            for number, contrast in enumerate(pair.contrasts)
            if contrast.metric == metric
        }
        for (place, number), p in holm(tests).items():
            contrasts = list(ordered[place].contrasts)
            contrasts[number] = replace(contrasts[number], p_holm=p)
            ordered[place] = replace(ordered[place], contrasts=tuple(contrasts))
    return tuple(ordered)


def _verdict(row: Row, models: Mapping[str, ModelCard]) -> str:
    slug, size = split_entry(row.entry)
    return models[slug].claim_at(size) or "unknown" if row.equivariance == "unknown" else row.equivariance


def _same_architecture(exact: Row, approximate: Row) -> bool:
    """One slug at two sizes; or at one size a network and its cure, whose slug goes on after the network's."""
    (slug, size), (plain, other) = split_entry(exact.entry), split_entry(approximate.entry)
    modes = {exact.numeric_mode, approximate.numeric_mode} - {None}
    return len(modes) < 2 and (slug == plain or (size == other and slug.startswith(f"{plain}-")))


def _pair(exact: Row, approximate: Row) -> Pair:
    contrasts = []
    for metric in ACCURACIES:
        samples, test = compared(metric, exact, approximate), difference(metric, exact, approximate)
        if samples and test:
            contrasts.append(Contrast(metric, *samples, test.difference, test.interval, test.p, None))
    lacking = [row.entry for row in (exact, approximate) if not row.seeds]
    why = f"{' and '.join(lacking)} not run" if lacking else None
    if not why and exact.folds and not common_seeds(exact, approximate):
        why = "no common seed"
    return Pair(split_entry(approximate.entry)[0], exact.entry, approximate.entry, tuple(contrasts), why)
