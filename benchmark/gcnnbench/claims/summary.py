"""What came out of all claims, counted by what they are: what was tested, with which power, and how it ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from gcnnbench.claims.power import POWER
from gcnnbench.claims.rows import ClaimRow

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
    told = [f"{len(rows)} claims; {len(tested)} were tested and could have come out otherwise: {_listed(tested)}."]
    if compared := found["differ"] + found["compatible"]:
        told.append(f"Of {compared} compared with the published numbers, {found['differ']} differ.")
    if found["with_known_power"]:
        told.append(
            f"Power: if all {found['with_known_power']} numbers and curves among them were true, "
            f"{found['expected_reproduced']} would be reproduced on average with these seeds ({found['with_power']} of "
            f"them with probability {POWER} or more); {found['reproduced_of_these']} were."
        )
    apart = {
        "numbers of parameters": "count",
        "identities by construction": "construction",
        "repeats of a counted quantity": "repeat",
        "calibrations (they chose an assumption)": "calibration",
    }
    kinds = [
        f"{len(here)} {name}" + ("" if kind == "calibration" else f": {_listed(here)}")
        for name, kind in apart.items()
        if (here := [row.verdict for row in rows if row.counted == kind and row.verdict in (*TESTED, kind)])
    ]
    if kinds:
        told.append(f"Apart from these: {'; '.join(kinds)}.")
    if rest := [row.verdict for row in rows if row.verdict not in (*TESTED, "calibration")]:
        told.append(f"Not judged: {_listed(rest)}.")
    return " ".join(told)


def _listed(found: Sequence[str]) -> str:
    return ", ".join(f"{number} {verdict}" for verdict, number in sorted(Counter(found).items())) or "none"
