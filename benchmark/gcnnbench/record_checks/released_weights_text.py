"""Released weights, scored again: as a table and as JSON."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.formatting import NOTHING, float64_error, how_many, share
from gcnnbench.layout import pipes
from gcnnbench.record_checks.released_weights import Scored
from gcnnbench.strict_json import json_document

HEADINGS = ["weights", "entry", "published", "ours", "95 %", "control", "invariance error", "scored on", "verdict"]


def as_text(rows: Sequence[Scored]) -> str:
    """A table in Markdown; a file that is not here says where it is."""
    lines = [
        pipes((HEADINGS, [_cells(row) for row in rows], ""), roomy=True),
        "",
        "- accuracies in per cent; the interval is Wilson's over the test images; *control*: the same images with rows "
        "and columns exchanged",
        "- *holds on the look-alike*: the interval lies within the claim's margin of the published number",
        *(f"- {row.source} {row.claim.id}: {row.reason}" for row in rows if row.reason),
    ]
    return "\n".join(lines) + "\n"


def as_json(rows: Sequence[Scored]) -> str:
    """The rows with their counts."""
    document = [
        {
            "source": row.source,
            "id": row.claim.id,
            "claim": row.claim.claim,
            "where": row.claim.where,
            "sha256": row.claim.sha256,
            "entry": row.claim.entry,
            "published": row.published,
            "verdict": row.verdict,
            "data": row.data,
            "correct": row.correct,
            "images": row.images,
            "interval": row.interval,
            "control": row.control,
            "invariance_error": row.invariance_error,
            "reason": row.reason,
        }
        for row in rows
    ]
    return json_document(document)


def _cells(row: Scored) -> list[str]:
    named = [f"{row.source} {row.claim.id}", row.claim.entry, share(row.published)]
    if row.interval is None:
        return [*named, *[NOTHING] * 5, row.verdict]
    low, high = row.interval
    return [
        *named,
        share(row.correct / row.images),
        f"{share(low)} … {share(high)}",
        share(row.control / row.images),
        float64_error(row.invariance_error),
        f"{row.data}, {how_many(row.images, 'image')}",
        row.verdict,
    ]
