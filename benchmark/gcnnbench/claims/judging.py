"""Judges claims by the evidence: one row a claim, with its verdict and the next step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.assumptions import touching
from gcnnbench.claims.claims import Claim, ClaimsCard, CurveClaim, NumberClaim, StatementClaim, claims_file
from gcnnbench.claims.curve_test import CurveTest, curve_power, curve_test
from gcnnbench.claims.evidence import Evidence
from gcnnbench.claims.families import with_families
from gcnnbench.claims.next_steps import next_step
from gcnnbench.claims.power import POWER, power, seeds_for_order, seeds_for_power
from gcnnbench.claims.rows import ClaimRow, Counted
from gcnnbench.claims.single_runs import published_runs
from gcnnbench.claims.statements import Equal, Greater, Identical, Reading, Test
from gcnnbench.claims.verdicts import (
    Judgement,
    judge,
    judge_curve,
    judge_equal,
    judge_growth,
    judge_identity,
    judge_order,
    testable,
)
from gcnnbench.formatting import how_many
from gcnnbench.statistics import Summary, summary

Gathered = Mapping[tuple[str, str], Sequence[Evidence]]


def judge_claims(registry: Registry, cards: Sequence[ClaimsCard], gathered: Gathered) -> list[ClaimRow]:
    """One row for each claim, and for each reading of a statement, in the order of the cards."""
    return [row for card in cards for row in with_families(_card(registry, card, gathered))]


def _card(registry: Registry, card: ClaimsCard, gathered: Gathered) -> list[ClaimRow]:
    rows = [row for claim in card.claims for row in _rows(registry, card, claim, gathered)]
    return [replace(row, primary=row.id in card.primary) for row in rows]


def _rows(registry: Registry, card: ClaimsCard, claim: Claim, gathered: Gathered) -> Iterator[ClaimRow]:
    if isinstance(claim, NumberClaim):
        yield _finished(_number(card, claim, gathered), claim, registry)
    elif isinstance(claim, CurveClaim):
        yield _finished(_curve(registry, card, claim, gathered), claim, registry)
    elif isinstance(claim, StatementClaim):
        for reading in claim.readings:
            row = replace(_reading(card, claim, reading, gathered), counted=_reading_counts(registry, claim, reading))
            yield _finished(row, claim, registry)


def _blank(card: ClaimsCard, claim: Claim, entries: Sequence[str], quantity: str, printed: str) -> ClaimRow:
    return ClaimRow(
        id=claim.id,
        source=card.source,
        benchmark=claim.benchmark,
        entries=tuple(entries),
        quantity=quantity,
        printed=printed,
        where=claim.where,
        standing=claim.standing,
        note=claim.note,
        counted="evidence" if claim.calibrates is None else "calibration",
        because=claim.calibrates or "",
    )


def _number(card: ClaimsCard, claim: NumberClaim, gathered: Gathered) -> ClaimRow:
    entries = [claim.entry] if claim.entry else []
    tolerance = card.tolerances[claim.tolerance].of(claim.published)
    row = replace(
        _blank(card, claim, entries, claim.quantity, claim.printed), published=claim.published, tolerance=tolerance
    )
    if claim.counts:
        row = replace(row, counted="count")
    else:
        row = replace(row, needed=seeds_for_power(claim.published, tolerance))
    if claim.repeats is not None:
        row = replace(row, counted="repeat", because=claim.repeats)
    if not testable(claim.published, tolerance):
        row = replace(row, judgement=Judgement("not testable"))
    runs = _runs(claim, entries, gathered)
    values = [one.quantity(claim.quantity) for one in runs[0]] if runs else []
    ours = _summary(values)
    if ours is None:
        return row
    if claim.counts:
        right = claim.is_count_of(ours.mean) and not ours.std
        found = Judgement("reproduced" if right else "refuted", ours.mean - claim.published.mean)
    else:
        found = judge(ours, claim.published, tolerance)
        row = replace(row, power=power(ours.n, claim.published, tolerance))
    return replace(_measured(row, runs), ours=ours, seeds=ours.n, judgement=found)


def _curve(registry: Registry, card: ClaimsCard, claim: CurveClaim, gathered: Gathered) -> ClaimRow:
    tolerances = [card.tolerances[claim.tolerance].of(point) for point in claim.published]
    row = _blank(card, claim, [claim.entry], claim.quantity, f"{how_many(len(claim.at), 'point')}, n = {claim.runs}")
    theirs = published_runs(claims_file(registry, card.source), claim)
    powers = {} if theirs is None else _powers(tuple(map(tuple, theirs.tolist())), tuple(tolerances))
    row = replace(row, needed=next((seeds for seeds, found in powers.items() if found >= POWER), None))
    runs = _runs(claim, [claim.entry], gathered)
    curves = [[one.curves[claim.quantity].get(at) for at in claim.at] for one in runs[0]] if runs else []
    ours = [[value for value in curve if value is not None] for curve in curves]
    if not ours or min(map(len, ours)) < len(claim.at):
        return row
    untested = CurveTest(None, None, len(claim.at))
    test = untested if theirs is None else curve_test(np.array(ours), theirs)
    points = [summary(column) for column in zip(*ours, strict=True)]
    found = judge_curve(points, claim.published, tolerances, test)
    at = found.at or 0
    return replace(
        _measured(row, runs),
        judgement=replace(found, at=claim.at[at]),
        published=claim.published[at],
        ours=points[at],
        seeds=len(ours),
        tolerance=tolerances[at],
        power=max((powers[seeds] for seeds in powers if seeds <= len(ours)), default=0.0 if powers else None),
    )


@lru_cache(maxsize=256)
def _powers(theirs: tuple[tuple[float, ...], ...], tolerances: tuple[float, ...]) -> Mapping[int, float]:
    """The power of a curve's equivalence test by seeds, from the published single runs."""
    return curve_power(np.array(theirs), np.array(tolerances))


def _reading(card: ClaimsCard, claim: StatementClaim, reading: Reading, gathered: Gathered) -> ClaimRow:
    test = reading.test
    row = _blank(card, claim, test.about, getattr(test, "quantity", test.name), reading.printed)
    # Deviations in a tolerance are those of a published number; a statement has none, and our own noise widens nothing.
    tolerance = card.tolerances[test.tolerance].points / 100 if isinstance(test, Equal) else None
    row = replace(row, id=f"{claim.id}/{reading.name}", source_test=reading.source_test, tolerance=tolerance)
    if isinstance(test, Greater):
        row = replace(row, needed=_seeds_for_order(card, claim, test))
    runs = _runs(claim, row.entries, gathered)
    if not runs:
        return row
    by_entry = dict(zip(row.entries, runs, strict=True))
    found = _tested(test, by_entry, tolerance or 0.0)
    if found is None:
        return row
    return replace(_measured(row, runs), judgement=found, seeds=min(map(len, runs)))


def _seeds_for_order(card: ClaimsCard, claim: StatementClaim, test: Greater) -> int | None:
    """At how many seeds the order would be reproduced, were the published means of its quantity the true ones."""
    published = {
        one.entry: one.published
        for one in card.claims
        if isinstance(one, NumberClaim) and (one.benchmark, one.quantity) == (claim.benchmark, test.quantity)
    }
    if not published.keys() >= {*test.about}:
        return None
    return seeds_for_order([(published[more], published[less]) for more in test.more for less in test.less])


def _reading_counts(registry: Registry, claim: StatementClaim, reading: Reading) -> Counted:
    """As what a reading counts; accuracies of a network that is exact at its size are identical by construction."""
    if reading.calibrates or claim.calibrates:
        return "calibration"
    if claim.benchmark and isinstance(reading.test, Identical):
        entries = [split_entry(entry) for entry in reading.test.entries]
        if all(size in registry.model(slug).exact_at for slug, size in entries):
            return "construction"
    return "evidence"


def _tested(test: Test, runs: Mapping[str, Sequence[Evidence]], tolerance: float) -> Judgement | None:
    """The judgement of a statement; null where a run lacks what is asked for."""
    if isinstance(test, Greater | Equal):
        found = {entry: _summary([one.quantity(test.quantity) for one in here]) for entry, here in runs.items()}
        known = {entry: sample for entry, sample in found.items() if sample is not None}
        if len(known) < len(found):
            return None
        if isinstance(test, Greater):
            return judge_order([(known[more], known[less]) for more in test.more for less in test.less])
        return judge_equal([(known[test.one], known[other]) for other in test.others], tolerance)
    if isinstance(test, Identical):
        asked = [[one.quantity(name) for name in test.quantities] for here in runs.values() for one in here]
        values = [[value for value in one if value is not None] for one in asked]
        return judge_identity(values) if all(map(all, ([v is not None for v in one] for one in asked))) else None
    growth = [[one.growth for one in here] for here in runs.values()]
    known_growth = [[value for value in here if value is not None] for here in growth]
    return judge_growth(known_growth) if [*map(len, growth)] == [*map(len, known_growth)] else None


def _runs(claim: Claim, entries: Sequence[str], gathered: Gathered) -> list[Sequence[Evidence]]:
    """The evidence on each entry; empty where one of them has none."""
    if claim.benchmark is None:
        return []
    found = [gathered.get((claim.benchmark, entry), ()) for entry in entries]
    return found if all(found) else []


def _measured(row: ClaimRow, runs: Sequence[Sequence[Evidence]]) -> ClaimRow:
    """The row with what these records say of themselves: when the first was begun, where, of which version."""
    every = [one for here in runs for one in here]
    devices = dict.fromkeys(one.run.machine.device for one in every)
    return replace(
        row,
        first_record=min(one.started for one in every),
        devices=tuple(devices),
        protocol=every[0].run.benchmark,
    )


def _summary(values: Sequence[float | None]) -> Summary | None:
    known = [value for value in values if value is not None]
    return summary(known) if known and len(known) == len(values) else None


def _finished(row: ClaimRow, claim: Claim, registry: Registry) -> ClaimRow:
    """The row with the verdicts that need no numbers, its assumptions, and what to do next."""
    if claim.benchmark is None:
        return replace(row, judgement=Judgement("not covered"), next=claim.not_covered or "")
    if claim.differs:
        return replace(row, judgement=replace(row.judgement, verdict="not comparable"), next="; ".join(claim.differs))
    card = registry.benchmark(claim.benchmark)
    if row.counted == "calibration" and row.verdict != "not run":
        row = replace(row, judgement=replace(row.judgement, verdict="calibration"))
    under = () if row.counted == "count" else touching(registry, card, row.entries, row.quantity)
    return replace(row, under=under, next=next_step(row, card))
