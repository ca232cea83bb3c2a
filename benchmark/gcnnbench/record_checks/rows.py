"""The table of records: a row a file with its grade, the choice among the rows, and the table as text and as JSON."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gcnnbench.leaderboard.tables import TABLES
from gcnnbench.strict_json import json_document

Grade = Literal["recomputed", "re-scored", "undecided", "re-trained", "not checkable", "refused"]


@dataclass(frozen=True)
class RecordRow:
    """One file, its grade, and what is wrong with it (then it is refused).

    `notes` say what else is to be known; `checked` what was run again, `unchecked` what was asked for and was not, with
    the reason.
    """

    id: str
    grade: Grade
    findings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()


@dataclass(frozen=True)
class Chosen:
    """Which rows are wanted: of a benchmark (`name` or `name@version`), of entries, of seeds; all where not said."""

    benchmark: str | None = None
    entries: tuple[str, ...] = ()
    seeds: tuple[int, ...] | None = None

    @property
    def shown(self) -> str:
        """What was asked for, as a message goes on after "no record": ` of tiny, p4cnn@8, seeds 0, 2`."""
        seeds = self.seeds or ()
        named = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}" if seeds else None
        asked = [part for part in (self.benchmark, *self.entries, named) if part]
        return f" of {', '.join(asked)}" if asked else ""

    def covers(self, row_id: str) -> bool:
        """Whether the row of that file, entry or table is wanted. Tables belong to no entry and no seed."""
        folder, _, rest = row_id.partition("/")
        table = folder == TABLES
        benchmark, entry = rest.partition(".")[0] if table else folder, rest.partition("/")[0]
        if self.benchmark is not None and not f"{benchmark}@".startswith(f"{self.benchmark}@"):
            return False
        if self.entries and (table or entry not in self.entries):
            return False
        seed = re.search(r"/seed-(\d+)\.", row_id)
        return self.seeds is None or (not table and (seed is None or int(seed[1]) in self.seeds))


def counted(rows: Sequence[RecordRow]) -> dict[str, int]:
    """How many rows have each grade."""
    return dict(sorted(Counter(row.grade for row in rows).items()))


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
