"""The grades of records, for readers and for programs."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.record_checks.rows import RecordRow, counted
from gcnnbench.strict_json import json_document


def records_as_json(rows: Sequence[RecordRow]) -> str:
    """One JSON document, `{"rows": [{"id", "verdict", …}], "summary": {GRADE: count}}`."""
    listed = [
        {
            "id": row.id,
            "verdict": row.grade,
            "findings": list(row.findings),
            "notes": list(row.notes),
            "checked": list(row.checked),
            "unchecked": list(row.unchecked),
        }
        for row in rows
    ]
    return json_document({"rows": listed, "summary": counted(rows)})


def records_as_text(rows: Sequence[RecordRow]) -> str:
    """One line a file, what is wrong with it and what was run again below, and the number of each grade."""
    lines = []
    for row in rows:
        notes = f"  ({'; '.join(row.notes)})" if row.notes else ""
        lines.append(f"{row.grade:<13}  {row.id}{notes}")
        lines += [f"    {finding}" for finding in row.findings]
        lines += [f"    checked: {'; '.join(row.checked)}"] if row.checked else []
        lines += [f"    not checked: {'; '.join(row.unchecked)}"] if row.unchecked else []
    if not rows:
        return ""
    told = ", ".join(f"{number} {grade}" for grade, number in counted(rows).items())
    return "\n".join([*lines, "", f"{told}."]) + "\n"
