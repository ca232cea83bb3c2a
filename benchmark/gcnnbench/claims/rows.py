"""One row of the table of claims: a claim, what our records say of it, and what that holds under."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, get_args

from gcnnbench.claims.quantities import CurveQuantity
from gcnnbench.claims.verdicts import Judgement, VerdictName, placed
from gcnnbench.formatting import probability
from gcnnbench.statistics import ALPHA, Summary

Counted = Literal["evidence", "calibration", "count", "construction", "repeat"]
"""What a verdict counts as: `calibration` chose an assumption of our cards, `count` is a number of parameters,
`construction` holds for every exact network, `repeat` is another rounding or a part of a claim that is counted."""

NOT_RUN = Judgement("not run")
DECIDED: tuple[VerdictName, ...] = ("reproduced", "refuted")

TURNED = frozenset({"accuracy.quarter_turns", "identical"})
ALSO_ABOUT: Mapping[str, frozenset[str]] = {
    "accuracy.upright": frozenset({"identical"}),
    "accuracy.rot90": TURNED,
    "accuracy.rot180": TURNED,
    "accuracy.rot270": TURNED,
    "accuracy.unseen": TURNED,
    "accuracy.orbit": frozenset({"identical"}),
    "accuracy.curve_mean": frozenset({"accuracy.angle"}),
    "invariance_error": frozenset({"grows"}),
}
"""The quantities of claims that speak of a metric, beside the metric itself."""


@dataclass(frozen=True)
class ClaimRow:
    """A claim, what we have on it, and the verdict. Differences and tolerances are fractions.

    `under` names the assumptions of our cards that the verdict holds under; only a refutation without any is a failure.
    `next` says what would decide, or why nothing can. `first_record` is when the first of our records was begun.

    `power` is the probability that a true claim is reproduced with as many seeds as we have, `needed` the number of
    seeds at which it is 0.8; null where none is, or where the published spread is not known. `p_family` is the
    judgement's p adjusted over the row's family (`family`), `because` what a row repeats or which assumption it chose.
    `protocol` is the benchmark with the version whose records were judged, `devices` what they were made on.
    """

    id: str
    source: str
    benchmark: str | None
    entries: tuple[str, ...]
    quantity: str
    printed: str
    where: str
    standing: str
    note: str | None = None
    published: Summary | None = None
    ours: Summary | None = None
    seeds: int = 0
    judgement: Judgement = NOT_RUN
    tolerance: float | None = None
    under: tuple[str, ...] = ()
    next: str = ""
    first_record: str | None = None
    warning: str = ""
    counted: Counted = "evidence"
    because: str = ""
    primary: bool = False
    needed: int | None = None
    power: float | None = None
    family: str = ""
    p_family: float | None = None
    source_test: str | None = None
    devices: tuple[str, ...] = ()
    protocol: str | None = None

    @property
    def verdict(self) -> VerdictName:
        """The verdict's name."""
        return self.judgement.verdict

    @property
    def fails(self) -> bool:
        """Whether it is an unconditional refutation."""
        return self.verdict == "refuted" and not self.under

    @property
    def equality(self) -> Literal["compatible", "differs"] | None:
        """Whether ours and the published are one by the two-sided test, adjusted over the family; null untested."""
        if self.p_family is None or self.statement:
            return None
        return "differs" if self.p_family < ALPHA else "compatible"

    @property
    def both(self) -> str:
        """Both verdicts: `inconclusive, and differs (p = 4e-04)`, `reproduced, compatible (p = 0.312)`."""
        text = self.verdict + (" (single-run)" if self.judgement.single_run else "")
        if self.equality is None:
            return text
        joined = "and differs" if self.equality == "differs" else "compatible"
        p, adjusted = probability(self.judgement.p), probability(self.p_family)
        return f"{text}, {joined} (p = {p}, Holm {adjusted})"

    @property
    def verdict_text(self) -> str:
        """Both verdicts and what they hold under: `reproduced, compatible (p = 0.312) under dropout-rate`."""
        return f"{self.both} under {', '.join(self.conditions)}" if self.conditions else self.both

    @property
    def conditions(self) -> tuple[str, ...]:
        """The assumptions that the verdict holds under, where there is one that they can touch."""
        return self.under if self.verdict in ("reproduced", "refuted", "inconclusive", "calibration") else ()

    @property
    def shown(self) -> Judgement:
        """The judgement as it is printed, in points; what grows is an error and no share, of which 0.25 reads +0.25."""
        found = self.judgement
        if self.quantity != "grows":
            return found
        low, high = found.interval or (0.0, 0.0)
        return replace(
            found,
            difference=found.difference and found.difference / 100,
            interval=found.interval and (low / 100, high / 100),
            seen=found.seen and found.seen / 100,
        )

    @property
    def by_welch(self) -> VerdictName | None:
        """What Welch's interval would say; null where it says the same, or was not asked."""
        told = placed(self.judgement.welch, self.tolerance) if self.tolerance is not None else None
        return told if self.judgement.welch and told != self.verdict and self.verdict in DECIDED else None

    @property
    def curve(self) -> bool:
        """Whether it is a curve, not a number or a statement."""
        return self.quantity in get_args(CurveQuantity)

    @property
    def statement(self) -> bool:
        """Whether it is one reading of a statement, not a number or a curve."""
        return "/" in self.id


def with_set_aside(rows: Sequence[ClaimRow], aside: Mapping[tuple[str, str], str]) -> list[ClaimRow]:
    """The rows, those that are not run saying of records that are there all the same why they do not count.

    Args:
        rows: rows of claims.
        aside: reasons by (benchmark, entry), as `set_aside` gives them.
    """
    return [replace(row, next=_with(row.next, row, aside)) if row.verdict == "not run" else row for row in rows]


def with_failed(rows: Sequence[ClaimRow], failed: Mapping[tuple[str, str], str]) -> list[ClaimRow]:
    """The rows, each saying which seeds of its entries failed.

    Args:
        rows: rows of claims.
        failed: sentences by (benchmark, entry), as `failed_seeds` gives them.
    """
    return [replace(row, warning=_with(row.warning, row, failed)) for row in rows]


def _with(text: str, row: ClaimRow, told: Mapping[tuple[str, str], str]) -> str:
    """A text of a row with what is told of its entries behind it."""
    of_entries = (told.get((row.benchmark or "", entry), "") for entry in row.entries)
    return "; ".join(filter(None, (text, *of_entries)))


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


def about(rows: Iterable[ClaimRow], benchmark: str, entry: str, metric: str) -> list[ClaimRow]:
    """The rows that speak of one number, those that wait for records of other entries among them.

    Args:
        rows: judged claims.
        benchmark: `name@version`, whose records they were judged by.
        entry: `slug@size`.
        metric: its whole name, as `accuracy.upright`.
    """
    name, asked = benchmark.partition("@")[0], {metric} | ALSO_ABOUT.get(metric, frozenset())
    return [
        row
        for row in rows
        if row.benchmark == name
        and row.protocol in (None, benchmark)
        and entry in row.entries
        and row.quantity in asked
    ]
