"""Counts verdicts by what they count as, and says in sentences what was tested, with which power, and how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from gcnnbench.claims.power import POWER
from gcnnbench.claims.rows import ClaimRow
from gcnnbench.formatting import how_many

TESTED = ("reproduced", "refuted", "inconclusive")


def counts(rows: Sequence[ClaimRow]) -> dict[str, Any]:
    """Verdicts by what they count as, how many rows differ, and how many reproductions the power makes one expect."""
    tested = [row for row in rows if row.counted == "evidence" and row.verdict in TESTED]
    powers = [row.power for row in tested if row.power is not None]
    return {
        "claims": len(rows),
        "by_kind": {
            kind: dict(sorted(Counter(row.verdict for row in rows if row.counted == kind).items()))
            for kind in ("evidence", "calibration", "count", "construction", "repeat")
        },
        "differ": sum(row.equality == "differs" for row in tested),
        "compatible": sum(row.equality == "compatible" for row in tested),
        "with_known_power": len(powers),
        "expected_reproduced": round(sum(powers), 1),
        "reproduced_of_these": sum(row.verdict == "reproduced" for row in tested if row.power is not None),
        "with_power": sum(power >= POWER for power in powers),
    }


def summary_text(rows: Sequence[ClaimRow]) -> str:
    """The summary in sentences."""
    found = counts(rows)
    tested = [row.verdict for row in rows if row.counted == "evidence" and row.verdict in TESTED]
    was = how_many(len(tested), "was", "were")
    told = [f"{how_many(len(rows), 'claim')}; {was} tested and could have come out otherwise: {_listed(tested)}."]
    if compared := found["differ"] + found["compatible"]:
        told.append(
            f"Of {compared} compared with the published numbers, {how_many(found['differ'], 'differs', 'differ')}."
        )
    if known := found["with_known_power"]:
        all_ = "the one number or curve" if known == 1 else f"all {known} numbers and curves"
        came = how_many(found["reproduced_of_these"], "was", "were")
        told.append(
            f"Power: if {all_} among them were true, "
            f"{found['expected_reproduced']} would be reproduced on average with these seeds ({found['with_power']} of "
            f"them with probability {POWER} or more); {came}."
        )
    apart = {
        "count": ("number of parameters", "numbers of parameters"),
        "construction": ("identity by construction", "identities by construction"),
        "repeat": ("repeat of a counted quantity", "repeats of a counted quantity"),
        "calibration": ("calibration (it chose an assumption)", "calibrations (they chose an assumption)"),
    }
    kinds = [
        how_many(len(here), *names) + ("" if kind == "calibration" else f": {_listed(here)}")
        for kind, names in apart.items()
        if (here := [row.verdict for row in rows if row.counted == kind and row.verdict in (*TESTED, kind)])
    ]
    if kinds:
        told.append(f"Apart from these: {'; '.join(kinds)}.")
    if rest := [row.verdict for row in rows if row.verdict not in (*TESTED, "calibration")]:
        told.append(f"Not judged: {_listed(rest)}.")
    return " ".join(told)


def _listed(found: Sequence[str]) -> str:
    return ", ".join(f"{number} {verdict}" for verdict, number in sorted(Counter(found).items())) or "none"
