"""One row of the table of records, and the choice among them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from gcnnbench.leaderboard.tables import TABLES

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
