"""Claims against evidence: one row a claim, with its verdict and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from benchmark.cards.registry import Registry
from benchmark.cards.schema import Assumption, split_entry
from benchmark.statistics import Summary, summary
from benchmark.verification.claims import (
    Claim,
    ClaimsCard,
    CurveClaim,
    CurveQuantity,
    Equal,
    Greater,
    Grows,
    Identical,
    NumberClaim,
    Reading,
    StatementClaim,
)
from benchmark.verification.evidence import Evidence
from benchmark.verification.rows import ClaimRow
from benchmark.verification.verdicts import (
    CURVE_SEEDS,
    Judgement,
    judge,
    judge_curve,
    judge_equal,
    judge_growth,
    judge_identity,
    judge_order,
)

Test = Greater | Equal | Identical | Grows
Gathered = Mapping[tuple[str, str], Sequence[Evidence]]
CURVED = ("accuracy.angle", "accuracy.curve_mean")
"""Quantities on which the protocol of the rotation curve has an influence."""


def judge_claims(registry: Registry, cards: Sequence[ClaimsCard], gathered: Gathered) -> list[ClaimRow]:
    """One row for each claim, and for each reading of a statement, in the order of the cards."""
    return [row for card in cards for claim in card.claims for row in _rows(registry, card, claim, gathered)]


def _rows(registry: Registry, card: ClaimsCard, claim: Claim, gathered: Gathered) -> Iterator[ClaimRow]:
    if isinstance(claim, NumberClaim):
        yield _finished(_number(card, claim, gathered), claim, registry)
    elif isinstance(claim, CurveClaim):
        yield _finished(_curve(card, claim, gathered), claim, registry)
    elif isinstance(claim, StatementClaim):
        yield from (_finished(_reading(card, claim, reading, gathered), claim, registry) for reading in claim.readings)


def _blank(card: ClaimsCard, claim: Claim, entries: Sequence[str], quantity: str, printed: str) -> ClaimRow:
    return ClaimRow(
        id=claim.id,
        source=card.source,
        benchmark=claim.benchmark,
        entries=tuple(entries),
        quantity=quantity,
        printed=printed,
        published=None,
        ours=None,
        seeds=0,
        judgement=Judgement("not run"),
        tolerance=None,
        under=(),
        next="",
        where=claim.where,
        standing=claim.standing,
        note=claim.note,
    )


def _number(card: ClaimsCard, claim: NumberClaim, gathered: Gathered) -> ClaimRow:
    entries = [claim.entry] if claim.entry else []
    tolerance = card.tolerances[claim.tolerance].of(claim.published)
    row = replace(
        _blank(card, claim, entries, claim.quantity, claim.printed), published=claim.published, tolerance=tolerance
    )
    runs = _runs(claim, entries, gathered)
    values = [one.quantity(claim.quantity) for one in runs[0]] if runs else []
    ours = _summary(values)
    if ours is None:
        return row
    if claim.quantity == "parameters":
        right = ours.mean == claim.value and not ours.std
        found = Judgement("reproduced" if right else "refuted", ours.mean - claim.value)
    else:
        found = judge(ours, claim.published, tolerance)
    return replace(row, ours=ours, seeds=ours.n, judgement=found, first_record=_first(runs))


def _curve(card: ClaimsCard, claim: CurveClaim, gathered: Gathered) -> ClaimRow:
    tolerances = [card.tolerances[claim.tolerance].of(point) for point in claim.published]
    row = _blank(card, claim, [claim.entry], claim.quantity, f"{len(claim.at)} points, n = {claim.runs}")
    runs = _runs(claim, [claim.entry], gathered)
    points = [_summary([one.curves[claim.quantity].get(at) for one in runs[0]]) for at in claim.at] if runs else []
    ours = [point for point in points if point is not None]
    if len(ours) < len(claim.at):
        return row
    found = judge_curve(ours, claim.published, tolerances)
    at = found.at or 0
    return replace(
        row,
        judgement=replace(found, at=claim.at[at]),
        published=claim.published[at],
        ours=ours[at],
        seeds=ours[at].n,
        tolerance=tolerances[at],
        first_record=_first(runs),
    )


def _reading(card: ClaimsCard, claim: StatementClaim, reading: Reading, gathered: Gathered) -> ClaimRow:
    test = reading.test
    row = _blank(card, claim, entries_of(test), getattr(test, "quantity", test.name), reading.printed)
    row = replace(row, id=f"{claim.id}/{reading.name}")
    runs = _runs(claim, row.entries, gathered)
    if not runs:
        return row
    by_entry = dict(zip(row.entries, runs, strict=True))
    found = _tested(card, test, by_entry)
    if found is None:
        return row
    return replace(row, judgement=found, seeds=min(map(len, runs)), first_record=_first(runs))


def _tested(
    card: ClaimsCard, test: Greater | Equal | Identical | Grows, runs: Mapping[str, Sequence[Evidence]]
) -> Judgement | None:
    """The judgement of a statement; null where a run lacks what is asked for."""
    if isinstance(test, Greater | Equal):
        found = {entry: _summary([one.quantity(test.quantity) for one in here]) for entry, here in runs.items()}
        known = {entry: sample for entry, sample in found.items() if sample is not None}
        if len(known) < len(found):
            return None
        if isinstance(test, Greater):
            return judge_order([(known[more], known[less]) for more in test.more for less in test.less])
        tolerance = card.tolerances[test.tolerance].of(known[test.one])
        return judge_equal([(known[test.one], known[other]) for other in test.others], tolerance)
    if isinstance(test, Identical):
        asked = [[one.quantity(name) for name in test.quantities] for here in runs.values() for one in here]
        values = [[value for value in one if value is not None] for one in asked]
        return judge_identity(values) if all(map(all, ([v is not None for v in one] for one in asked))) else None
    growth = [[one.growth for one in here] for here in runs.values()]
    known_growth = [[value for value in here if value is not None] for here in growth]
    return judge_growth(known_growth) if [*map(len, growth)] == [*map(len, known_growth)] else None


def entries_of(test: Test) -> tuple[str, ...]:
    """The entries that a statement is about, each once."""
    if isinstance(test, Greater):
        return (*test.more, *test.less)
    if isinstance(test, Equal):
        return (test.one, *test.others)
    return test.entries


def _runs(claim: Claim, entries: Sequence[str], gathered: Gathered) -> list[Sequence[Evidence]]:
    """The evidence on each entry; empty where one of them has none."""
    if claim.benchmark is None:
        return []
    found = [gathered.get((claim.benchmark, entry), ()) for entry in entries]
    return found if all(found) else []


def _first(runs: Sequence[Sequence[Evidence]]) -> str:
    """When the first of these records was begun."""
    return min(one.started for here in runs for one in here)


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
    assumed: list[Assumption] = list(card.assumptions)
    for slug in dict.fromkeys(split_entry(entry)[0] for entry in row.entries):
        assumed += registry.model(slug).assumptions
    under = () if row.quantity == "parameters" else tuple(dict.fromkeys(a.name for a in assumed if _matters(a, row)))
    return replace(row, under=under, next=_next(row, card.name))


def _matters(assumption: Assumption, row: ClaimRow) -> bool:
    return row.quantity in CURVED or not assumption.field.startswith("evaluation.curve")


def _next(row: ClaimRow, benchmark: str) -> str:
    """The command that would bring a verdict, where there is none."""
    entries = "".join(f" --entry {entry}" for entry in row.entries)
    curve = row.quantity in get_args(CurveQuantity)
    if row.verdict == "not run":
        return f"gcnnbench run {benchmark}{entries}" + (f" --seeds 0-{CURVE_SEEDS - 1}" if curve else "")
    if row.verdict != "inconclusive":
        return ""
    needed = row.judgement.seeds_needed
    least = CURVE_SEEDS if curve else 2
    if row.seeds < least and needed is None:
        return f"at least {least} seeds: gcnnbench run {benchmark}{entries} --seeds 0-{least - 1}"
    if needed is None and row.statement:
        return f"more seeds: gcnnbench run {benchmark}{entries} --seeds 0-{2 * row.seeds - 1}"
    if needed is None:
        return "no number of seeds would decide if means and spreads stay as they are"
    return f"about {needed} seeds: gcnnbench run {benchmark}{entries} --seeds 0-{needed - 1}"
