"""The single published runs behind a curve, kept beside the claims card as `SOURCE.runs.json`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from gcnnbench.cards.base import EntryName, Model, Name, Some, Text, broken_rule
from gcnnbench.cards.values import Natural, Positive
from gcnnbench.claims.claims import CurveClaim
from gcnnbench.claims.quantities import CurveQuantity
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many
from gcnnbench.plain_files import read_plain
from gcnnbench.strict_json import parse_model


class PublishedRuns(Model):
    """The runs of one network and quantity (runs, places); an accuracy is the number kept divided by `per`."""

    benchmark: Name
    entry: EntryName
    quantity: CurveQuantity
    per: Positive
    at: Some[Natural]
    runs: Annotated[tuple[tuple[Natural, ...], ...], Field(min_length=2)]

    @model_validator(mode="after")
    def _a_share_at_each_place(self) -> Self:
        for place, run in enumerate(self.runs):
            if len(run) != len(self.at) or max(run) > self.per:
                places = how_many(len(self.at), "place")
                rule = f"runs[{place}] must have a number at each of {places}, none above per (={self.per})"
                raise broken_rule(rule, "runs", place)
        return self


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
        UserError: the file beside the card is not what `RunsFile` says, or its runs lack a place of the claim.
    """
    file = path.with_suffix(".runs.json")
    for found in _curves(file) if file.exists() else ():
        if (found.benchmark, found.entry, found.quantity) == (claim.benchmark, claim.entry, claim.quantity):
            if lacking := sorted(set(claim.at) - set(found.at)):
                raise UserError(f"{file}: the runs of {claim.entry} say nothing at {lacking[0]}, where {claim.id} does")
            places = [found.at.index(at) for at in claim.at]
            return np.array(found.runs, dtype=np.float64)[:, places] / found.per
    return None


def _curves(path: Path) -> Sequence[PublishedRuns]:
    try:
        return _parsed(read_plain(path)).curves
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: no single runs of a source: {error}") from None


@lru_cache(maxsize=8)
def _parsed(written: bytes) -> RunsFile:
    return parse_model(written, RunsFile)
