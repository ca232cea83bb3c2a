"""Who measured the records of an entry that was submitted: a small file beside them, written when it was accepted.

Records without one were made by whoever keeps the results directory.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from benchmark.cards.schema import Model, Sha256

Grade = Literal["self-reported", "re-scored", "re-trained"]
FILE_NAME = "measured.json"


class Measurement(Model):
    """The digest of the bundle that the records came in, and the grade that each file reached, by its name."""

    bundle: Sha256
    measured: dict[str, Grade]


def read_measurements(results: Path) -> tuple[dict[tuple[str, str], Measurement], list[str]]:
    """The measurements by (benchmark@version, entry), and what is wrong with files that are none.

    Args:
        results: the results directory.
    """
    found, findings = {}, []
    for path in sorted(results.glob(f"*@*/*@*/{FILE_NAME}")):
        place = path.relative_to(results)
        try:
            found[place.parts[0], place.parts[1]] = Measurement.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            findings.append(f"{place}: does not say who measured the records beside it: {str(error).splitlines()[0]}")
    return found, findings
