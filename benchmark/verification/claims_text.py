"""The table of claims, for readers and for programs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tabulate import tabulate

from benchmark.leaderboard import cells
from benchmark.statistics import Summary
from benchmark.verification.rows import ClaimRow


def claims_as_json(rows: Sequence[ClaimRow]) -> str:
    """One JSON document, `{"rows": […], "summary": {VERDICT: count}}`; accuracies and differences are fractions."""
    document = {"rows": [_row(row) for row in rows], "summary": dict(Counter(row.verdict for row in rows))}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def claims_as_markdown(rows: Sequence[ClaimRow]) -> str:
    """A table for each source, and the number of verdicts of each kind."""
    parts = []
    for source in dict.fromkeys(row.source for row in rows):
        here = [row for row in rows if row.source == source]
        headings = ["claim", "published", "ours", "difference", "verdict", "next"]
        table = [[row.id, _published(row), _ours(row), _difference(row), row.verdict_text, _next(row)] for row in here]
        parts += [f"## {source}", tabulate(table, headings, "pipe", disable_numparse=True)]
    counts = Counter(row.verdict for row in rows)
    parts.append(
        f"{len(rows)} claims: " + ", ".join(f"{number} {verdict}" for verdict, number in sorted(counts.items())) + "."
    )
    parts.append(
        "Per cent and points; mean ± sample standard deviation (ddof = 1), n. Difference: ours − published with the "
        "95% Welch interval\n(of curves and comparisons: Bonferroni, at the place that decides), and the tolerance."
    )
    return "\n\n".join(parts) + "\n"


def _next(row: ClaimRow) -> str:
    return "; ".join(filter(None, [row.warning, row.next]))


def _published(row: ClaimRow) -> str:
    if row.published is None or row.quantity == "parameters":
        return row.printed
    n = f", n = {row.published.n}" if row.published.std is not None else ", one run"
    return f"{_at(row)}{cells.percent(row.published)}{n}"


def _at(row: ClaimRow) -> str:
    if row.judgement.at is None or row.published is None:
        return ""
    return f"at {row.judgement.at}{'°' if row.quantity == 'accuracy.angle' else ''}: "


def _ours(row: ClaimRow) -> str:
    if row.ours is None:
        return f"{row.seeds} seeds" if row.seeds else cells.NOTHING
    if row.quantity == "parameters":
        return cells.count(row.ours.mean)
    return f"{cells.percent(row.ours)}, n = {row.ours.n}"


def _difference(row: ClaimRow) -> str:
    found = row.judgement
    if found.difference is None or row.quantity == "parameters":
        return cells.NOTHING
    tolerance = f" (± {100 * row.tolerance:.2f})" if row.tolerance is not None else ""
    interval = f" {cells.interval(found.interval)}" if found.interval else ""
    return f"{cells.points(found.difference)}{interval}{tolerance}"


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
