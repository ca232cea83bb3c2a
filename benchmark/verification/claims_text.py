"""The table of claims, for readers and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmark.leaderboard import cells
from benchmark.leaderboard.layout import folded, pipes
from benchmark.statistics import Summary
from benchmark.verification.rows import ClaimRow


def claims_as_json(rows: Sequence[ClaimRow]) -> str:
    """One JSON document, `{"rows": […], "summary": {VERDICT: count}}`; accuracies and differences are fractions."""
    document = {"rows": [_row(row) for row in rows], "summary": dict(Counter(row.verdict for row in rows))}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def claims_as_markdown(rows: Sequence[ClaimRow]) -> str:
    """Tables for each source, numbers and statements, with what would decide below; and the verdicts counted."""
    letters = cells.lettered(name for row in rows for name in row.conditions)
    parts = []
    for source in dict.fromkeys(row.source for row in rows):
        here = [row for row in rows if row.source == source]
        notes = _numbered(text for row in here for text in _notes(row))
        numbers = [row for row in here if not row.statement]
        statements = [row for row in here if row.statement]
        marks = {row.id: _marks(row, letters, notes) for row in here}
        parts.append(f"## {source}")
        if numbers:
            table = [[row.id, _published(row), _ours(row), *_judged(row, marks[row.id])] for row in numbers]
            parts.append(pipes((["claim", "published", "ours", *JUDGED], table, "lllllll")))
        if statements:
            table = [[row.id, f"{row.seeds or cells.NOTHING}", *_judged(row, marks[row.id])] for row in statements]
            parts.append(pipes((["statement", "seeds", *JUDGED], table, "lrllll")))
        parts.append("\n".join(f"{number}. {text}" for text, number in notes.items()))
    counts = Counter(row.verdict for row in rows)
    told = ", ".join(f"{number} {verdict}" for verdict, number in sorted(counts.items()))
    parts.append(f"{len(rows)} claims: {told}.")
    parts.append(
        folded(LEGEND + "".join(f" {letter}: under the assumption {name}." for name, letter in letters.items()))
    )
    return "\n\n".join(filter(None, parts)) + "\n"


JUDGED = ["ours − published", "tolerance", "verdict", "see"]
LEGEND = (
    "Per cent and points; mean ± sample standard deviation (ddof = 1), in brackets n. Ours − published, or what a "
    "statement compares, with the 95% Welch interval (of curves and comparisons: Bonferroni, at the deciding place)."
)


def _numbered(texts: Iterable[str]) -> dict[str, int]:
    return {text: number for number, text in enumerate(dict.fromkeys(texts), start=1)}


def _notes(row: ClaimRow) -> list[str]:
    """What is to be told of a row below its table."""
    printed = f"published: {row.printed}" if row.statement else ""
    return list(filter(None, [printed, row.warning, row.next]))


def _marks(row: ClaimRow, letters: Mapping[str, str], notes: Mapping[str, int]) -> str:
    return ", ".join([*sorted(letters[name] for name in row.conditions), *(str(notes[text]) for text in _notes(row))])


def _published(row: ClaimRow) -> str:
    if row.published is None or row.quantity == "parameters":
        return row.printed
    n = row.published.n if row.published.std is not None else "one run"
    return f"{_at(row)}{cells.percent(row.published, tight=True)} ({n})"


def _at(row: ClaimRow) -> str:
    if row.judgement.at is None or row.published is None:
        return ""
    return f"at {row.judgement.at}{'°' if row.quantity == 'accuracy.angle' else ''}: "


def _ours(row: ClaimRow) -> str:
    if row.ours is None:
        return cells.NOTHING
    if row.quantity == "parameters":
        return cells.count(row.ours.mean)
    return f"{cells.percent(row.ours, tight=True)} ({row.ours.n})"


def _judged(row: ClaimRow, marks: str) -> list[str]:
    """Difference, tolerance, verdict and marks."""
    found = row.judgement
    difference, tolerance = cells.NOTHING, cells.NOTHING
    if row.quantity != "parameters" and found.difference is not None:
        interval = f" {cells.interval(found.interval)}" if found.interval else ""
        difference = f"{cells.points(found.difference)}{interval}"
    if row.quantity != "parameters" and row.tolerance is not None:
        tolerance = f"{100 * row.tolerance:.2f}"
    return [difference, tolerance, row.verdict + (" (single-run)" if found.single_run else ""), marks]


def _row(row: ClaimRow) -> dict[str, Any]:
    found = row.judgement
    return {
        "id": row.id,
        "source": row.source,
        "benchmark": row.benchmark,
        "entries": list(row.entries),
        "quantity": row.quantity,
        "printed": row.printed,
        "published": _summary(row.published),
        "ours": _summary(row.ours),
        "seeds": row.seeds,
        "verdict": row.verdict,
        "single_run": found.single_run,
        "under": list(row.under),
        "difference": found.difference,
        "ci95": list(found.interval) if found.interval else None,
        "tolerance": row.tolerance,
        "at": found.at,
        "seeds_needed": found.seeds_needed,
        "next": row.next,
        "warning": row.warning,
        "where": row.where,
        "standing": row.standing,
        "note": row.note,
    }


def _summary(found: Summary | None) -> dict[str, Any] | None:
    return {"n": found.n, "mean": found.mean, "std": found.std} if found else None
