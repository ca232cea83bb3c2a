"""Who measured the records of an entry that was submitted: a small file beside them, written when it was accepted.

Records without one were made by whoever keeps the results directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from gcnnbench.cards.base import Model, Sha256
from gcnnbench.cards.values import OutsideLine
from gcnnbench.outside_text import as_line
from gcnnbench.plain_files import read_plain
from gcnnbench.strict_json import parse_model

Checked = Literal["self-reported", "re-scored", "undecided", "re-trained within tolerance", "re-trained"]
"""How far a maintainer checked a record: *undecided* was trained again, and the numbers tell nothing."""
Grade = (
    Checked
    | Literal[
        "self-reported, trained beside its code",
        "re-scored, trained beside its code",
        "undecided, trained beside its code",
        "re-trained within tolerance, trained beside its code",
        "re-trained, trained beside its code",
    ]
)
"""How far, and whether the submitted code ran while its network was trained, so that it could have trained itself
otherwise than the recipe says."""
BESIDE_CODE: Mapping[Checked, Grade] = {
    "self-reported": "self-reported, trained beside its code",
    "re-scored": "re-scored, trained beside its code",
    "undecided": "undecided, trained beside its code",
    "re-trained within tolerance": "re-trained within tolerance, trained beside its code",
    "re-trained": "re-trained, trained beside its code",
}
FILE_NAME = "measured.json"


class Measurement(Model):
    """The digest of the bundle that the records came in, and the grade that each file reached, by its name."""

    bundle: Sha256
    measured: dict[OutsideLine, Grade]


def read_measurements(results: Path) -> tuple[dict[tuple[str, str], Measurement], list[str]]:
    """The measurements by (benchmark@version, entry), and what is wrong with files that are none.

    Args:
        results: the results directory.
    """
    found, findings = {}, []
    for path in sorted(results.glob(f"*@*/*@*/{FILE_NAME}")):
        place = path.relative_to(results)
        try:
            found[place.parts[0], place.parts[1]] = parse_model(read_plain(path), Measurement)
        except (OSError, ValueError) as error:
            findings.append(f"{place}: does not say who measured the records beside it: {as_line(str(error))}")
    return found, findings
