"""The table of claims, as Markdown for readers and as JSON for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gcnnbench import formatting
from gcnnbench.claims.rows import ClaimRow
from gcnnbench.claims.summary import counts, summary_text
from gcnnbench.escaping import markdown
from gcnnbench.layout import folded, pipes
from gcnnbench.statistics import Summary
from gcnnbench.strict_json import json_document


def claims_as_json(rows: Sequence[ClaimRow]) -> str:
    """One JSON document, `{"rows": […], "summary": {VERDICT: count}, "tested": {…}}`; accuracies are fractions."""
    summary = dict(Counter(row.verdict for row in rows))
    document = {"rows": [_row(row) for row in rows], "summary": summary, "tested": counts(rows)}
    return json_document(document)


def claims_as_markdown(rows: Sequence[ClaimRow]) -> str:
    """Tables for each source, primary statements first, with what would decide below; and what came out."""
    letters = formatting.lettered(name for row in rows for name in row.conditions)
    parts = []
    for source in dict.fromkeys(row.source for row in rows):
        here = [row for row in rows if row.source == source]
        notes = _numbered(text for row in here for text in _notes(row))
        marks = {row.id: _marks(row, letters, notes) for row in here}
        parts.append(f"## {source}")
        primary = [row for row in here if row.primary]
        numbers = [row for row in here if not row.primary and not row.statement]
        statements = [row for row in here if not row.primary and row.statement]
        for heading, shown in (("primary statement", primary), ("claim", numbers), ("statement", statements)):
            if shown:
                parts.append(pipes(_table(heading, shown, marks)))
        parts.append("\n".join(f"{number}. {markdown(text)}" for text, number in notes.items()))
    parts.append(folded(summary_text(rows)))
    parts.append(
        folded(LEGEND + "".join(f" {letter}: under the assumption {name}." for name, letter in letters.items()))
    )
    return "\n\n".join(filter(None, parts)) + "\n"


LEGEND = (
    "Per cent and points; mean ± sample standard deviation (ddof = 1), in brackets n. Ours − published with the 90% "
    "interval that both one-sided tests make (variances pooled from ten published runs on, with Welch's as a check), "
    "at the place of a curve that decides; what a statement compares with Welch's 95% interval, and what grows, an "
    "error, as it is. Seen: the smallest true shift that the test of equality, unadjusted, finds with probability 0.8 "
    "given the spreads (σ: of the whole curve, in deviations of a run). Needs: seeds at which a true claim is "
    "reproduced with probability 0.8. A verdict is of the seeds that are there, and no correction is made for looking "
    "more than once; reproduced and refuted are not adjusted. p is adjusted (Holm) over the numbers and curves of one "
    "source and benchmark, and over its primary statements; it differs if that is below 0.05."
)


def _table(heading: str, rows: Sequence[ClaimRow], marks: Mapping[str, str]) -> tuple[list[str], list[list[str]], str]:
    if rows[0].statement:
        p = "p (Holm)" if rows[0].primary else "p"
        headings = [heading, "seeds", "difference", "seen", "needs", "verdict", p, "see"]
        told = [
            [
                row.id,
                f"{row.seeds or formatting.NOTHING}",
                _difference(row),
                _seen(row),
                _needs(row),
                _verdict(row),
                _p(row),
                marks[row.id],
            ]
            for row in rows
        ]
        return headings, told, "lrlrrlll"
    headings = [
        heading,
        "published",
        "ours",
        "ours − published",
        "Welch",
        "tolerance",
        "seen",
        "needs",
        "verdict",
        "see",
    ]
    told = [
        [
            row.id,
            _published(row),
            _ours(row),
            _difference(row),
            formatting.interval(row.judgement.welch),
            formatting.NOTHING if row.tolerance is None or row.counted == "count" else formatting.share(row.tolerance),
            _seen(row),
            _needs(row),
            _verdict(row),
            marks[row.id],
        ]
        for row in rows
    ]
    return headings, told, "lllllrrrll"


def _needs(row: ClaimRow) -> str:
    return f"{row.needed or formatting.NOTHING}"


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    return {text: number for number, text in enumerate(dict.fromkeys(texts), start=1)}


def _notes(row: ClaimRow) -> list[str]:
    """What is to be told of a row below its table."""
    told = [
        f"published: {row.printed}" if row.statement else "",
        f"by the source's test: {row.source_test}" if row.source_test else "",
        {
            "repeat": f"repeats {row.because}, and is not counted",
            "calibration": f"calibration: chose the assumption {row.because}" if row.because else "",
            "construction": "holds by construction for every exact network",
        }.get(row.counted, ""),
        f"by Welch's interval {row.by_welch}" if row.by_welch else "",
        _mixed(row) if len(row.devices) > 1 else "",
        row.warning,
        row.next,
    ]
    return list(filter(None, told))


def _mixed(row: ClaimRow) -> str:
    what = "what is compared" if row.statement else "the mean"
    return f"{what} mixes devices ({', '.join(row.devices)})"


def _marks(row: ClaimRow, letters: Mapping[str, str], notes: Mapping[str, int]) -> str:
    return ", ".join([*sorted(letters[name] for name in row.conditions), *(str(notes[text]) for text in _notes(row))])


def _published(row: ClaimRow) -> str:
    if row.published is None or row.counted == "count":
        return row.printed
    n = row.published.n if row.published.std is not None else "one run"
    return f"{_at(row)}{formatting.percent(row.published, tight=True)} ({n})"


def _at(row: ClaimRow) -> str:
    if row.judgement.at is None or row.published is None:
        return ""
    return f"at {row.judgement.at}{'°' if row.quantity == 'accuracy.angle' else ''}: "


def _ours(row: ClaimRow) -> str:
    if row.ours is None:
        return formatting.NOTHING
    if row.counted == "count":
        return formatting.count(row.ours.mean)
    return f"{formatting.percent(row.ours, tight=True)} ({row.ours.n})"


def _difference(row: ClaimRow) -> str:
    found = row.shown
    if row.counted == "count" or found.difference is None:
        return formatting.NOTHING
    return f"{formatting.points(found.difference)}" + (
        f" {formatting.interval(found.interval)}" if found.interval else ""
    )


def _seen(row: ClaimRow) -> str:
    seen = row.shown.seen
    if seen is None:
        return formatting.NOTHING
    return f"{seen:.1f} σ" if row.curve else formatting.share(seen)


def _verdict(row: ClaimRow) -> str:
    return row.both if row.counted in ("evidence", "calibration") else f"{row.both} ({row.counted})"


def _p(row: ClaimRow) -> str:
    """Of a statement: adjusted over the primary ones where it is one of them."""
    return formatting.probability(row.p_family if row.primary else row.judgement.p)


def _row(row: ClaimRow) -> dict[str, Any]:
    found = row.judgement
    return {
        "id": row.id,
        "source": row.source,
        "benchmark": row.benchmark,
        "judged_by": row.protocol,
        "entries": list(row.entries),
        "quantity": row.quantity,
        "printed": row.printed,
        "published": _summary(row.published),
        "ours": _summary(row.ours),
        "seeds": row.seeds,
        "primary": row.primary,
        "counts_as": row.counted,
        "because": row.because or None,
        "verdict": row.verdict,
        "equality": row.equality,
        "single_run": found.single_run,
        "under": list(row.under),
        "difference": found.difference,
        "interval": list(found.interval) if found.interval else None,
        "coverage": found.coverage if found.interval else None,
        "welch": list(found.welch) if found.welch else None,
        "p": found.p,
        "family": row.family or None,
        "p_family": row.p_family,
        "tolerance": row.tolerance,
        "seen": found.seen,
        "at": found.at,
        "power": row.power,
        "seeds_needed": row.needed,
        "next": row.next,
        "warning": row.warning,
        "devices": list(row.devices),
        "where": row.where,
        "standing": row.standing,
        "source_test": row.source_test,
        "note": row.note,
    }


def _summary(found: Summary | None) -> dict[str, Any] | None:
    return {"n": found.n, "mean": found.mean, "std": found.std} if found else None
