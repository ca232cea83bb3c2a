"""An audit as a table with its legend, as JSON and as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from gcnnbench.cli.audit_options import AuditFormat
from gcnnbench.formatting import NOTHING, float64_error
from gcnnbench.layout import csv_text, pipes

if TYPE_CHECKING:
    from gcnnbench.equivariance.audit import Audit
    from gcnnbench.equivariance.wording import Words


def audit_text(found: Audit, words: list[Words], form: AuditFormat, learnt: Mapping[int, Mapping[str, str]]) -> str:
    """The audit in one of its forms.

    Args:
        found: the audit.
        words: what each of its rows reads.
        form: which one.
        learnt: by size, what is found of a symmetry that the card says is learnt.
    """
    rows = [row.document() | {"verdict": word} for row, word in zip(found.sizes, words, strict=True)]
    if form is AuditFormat.csv:
        return csv_text(list(rows[0]), [[_cell(value) for value in row.values()] for row in rows])
    if form is AuditFormat.json:
        from gcnnbench.strict_json import json_document

        for row, one in zip(rows, found.sizes, strict=True):
            row.update({"learnt": learnt[one.size]} if one.size in learnt else {})
        return json_document(found.document() | {"sizes": rows})
    from gcnnbench.equivariance.wording import legend

    said = (
        f"learnt at {size}: at the symmetric point that its layers declare {one['form']}, with weights drawn anew "
        f"{one['freedom']}, as given {one['as given']}"
        for size, one in learnt.items()
    )
    lines = "\n".join(f"- {line}" for line in (*said, *legend(found, words)))
    return f"{found.network} under {found.group}\n\n{_table(found, words)}\n\n{lines}"


def _cell(value: object) -> object:
    return "; ".join(value) if isinstance(value, list) else value


def _table(found: Audit, words: Sequence[Words]) -> str:
    header = ["size", "grid", "verdict", "first break", "error as given", "drawn anew"]
    cells = [
        [
            str(row.size),
            row.grid,
            word,
            row.first_break or (row.reason if row.decision in ("inapplicable", "unknown") else None) or NOTHING,
            float64_error(row.invariance_error),
            float64_error(row.drawn_error),
        ]
        for row, word in zip(found.sizes, words, strict=True)
    ]
    return pipes((header, cells, "rlllrr"))
