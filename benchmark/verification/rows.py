"""One row of the table of claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from benchmark.statistics import Summary
from benchmark.verification.verdicts import Judgement, VerdictName


@dataclass(frozen=True)
class ClaimRow:
    """A claim, what we have on it, and the verdict. Differences and tolerances are fractions.

    `under` names the assumptions of our cards that the verdict holds under; only a refutation without any is a failure.
    `next` says what would decide, or why nothing can. `first_record` is when the first of our records was begun.
    """

    id: str
    source: str
    benchmark: str | None
    entries: tuple[str, ...]
    quantity: str
    printed: str
    published: Summary | None
    ours: Summary | None
    seeds: int
    judgement: Judgement
    tolerance: float | None
    under: tuple[str, ...]
    next: str
    where: str
    standing: str
    note: str | None
    first_record: str | None = None
    warning: str = ""

    @property
    def verdict(self) -> VerdictName:
        """The verdict's name."""
        return self.judgement.verdict

    @property
    def fails(self) -> bool:
        """Whether it is an unconditional refutation."""
        return self.verdict == "refuted" and not self.under

    @property
    def verdict_text(self) -> str:
        """The verdict in full: `reproduced (single-run) under dropout-rate`."""
        text = self.verdict + (" (single-run)" if self.judgement.single_run else "")
        return f"{text} under {', '.join(self.conditions)}" if self.conditions else text

    @property
    def conditions(self) -> tuple[str, ...]:
        """The assumptions that the verdict holds under, where there is one that they can touch."""
        return self.under if self.verdict in ("reproduced", "refuted", "inconclusive") else ()

    @property
    def statement(self) -> bool:
        """Whether it is one reading of a statement, not a number or a curve."""
        return "/" in self.id


def tell_aside(rows: Sequence[ClaimRow], aside: Mapping[tuple[str, str], str]) -> list[ClaimRow]:
    """The rows, those that are not run saying of records that are there all the same why they do not count.

    Args:
        rows: rows of claims.
        aside: reasons by (benchmark, entry), as `set_aside` gives them.
    """
    told = []
    for row in rows:
        reasons = [aside[row.benchmark or "", entry] for entry in row.entries if (row.benchmark, entry) in aside]
        told.append(replace(row, next="; ".join([row.next, *reasons])) if row.verdict == "not run" else row)
    return told


def warn_of_edits(rows: Sequence[ClaimRow], since: Mapping[str, Mapping[str, datetime]]) -> list[ClaimRow]:
    """The rows, with a warning where the tolerance was edited after the first record that it judges was begun.

    Args:
        rows: rows of claims.
        since: by source and row, when the tolerance was last changed, where that is known (`tolerances_since`).
    """
    warned = []
    for row in rows:
        edited, begun = since.get(row.source, {}).get(row.id), row.first_record
        late = begun is not None and edited is not None and _time(begun) < edited
        warning = f"the tolerance was edited after these records were begun ({edited:%Y-%m-%d %H:%M})" if late else ""
        warned.append(replace(row, warning=warning))
    return warned


def _time(text: str) -> datetime:
    """A record's time; UTC where it says no zone."""
    time = datetime.fromisoformat(text)
    return time if time.tzinfo else time.replace(tzinfo=UTC)
