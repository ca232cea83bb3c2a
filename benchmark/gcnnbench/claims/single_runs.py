"""The single published runs behind a curve, kept beside the claims card as `SOURCE.runs.json`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from gcnnbench.cards.base import EntryName, Model, Name, Some, Text
from gcnnbench.cards.values import Natural, Positive
from gcnnbench.claims.claims import CurveClaim
from gcnnbench.claims.quantities import CurveQuantity


class PublishedRuns(Model):
    """The runs of one network and quantity (runs, places); an accuracy is the number kept divided by `per`."""

    benchmark: Name
    entry: EntryName
    quantity: CurveQuantity
    per: Positive
    at: Some[Natural]
    runs: Annotated[tuple[tuple[Natural, ...], ...], Field(min_length=2)]


class RunsFile(Model):
    """All single runs of one source."""

    source: Name
    where: Text
    about: Text
    curves: tuple[PublishedRuns, ...]


def published_runs(path: Path, claim: CurveClaim) -> NDArray[np.float64] | None:
    """The published runs of a curve (runs, places), as fractions at the places of the claim; null where none are kept.

    Args:
        path: the claims card.
        claim: one of its curves.

    Raises:
        ValidationError: the file beside the card is not what `RunsFile` says.
    """
    for found in _curves(path.with_suffix(".runs.json")):
        if (found.benchmark, found.entry, found.quantity) == (claim.benchmark, claim.entry, claim.quantity):
            places = [found.at.index(at) for at in claim.at]
            return np.array(found.runs, dtype=np.float64)[:, places] / found.per
    return None


@lru_cache(maxsize=8)
def _curves(path: Path) -> Sequence[PublishedRuns]:
    return RunsFile.model_validate_json(path.read_bytes()).curves if path.exists() else ()
