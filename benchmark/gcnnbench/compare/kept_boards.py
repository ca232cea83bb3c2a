"""Reads a kept leaderboard: what `leaderboard --format json` writes, of this version of the suite or another one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, model_validator

from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many
from gcnnbench.strict_json import mistakes, parse_json


class Tolerant(BaseModel):
    """Base of what is read from a kept leaderboard: fields of other versions of the suite are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class KeptSummary(Tolerant):
    """A metric of a row."""

    n: int
    mean: float
    std: float | None


class KeptRow(Tolerant):
    """A row. `spec_digest` and `records` (sha256 by seed) are null in leaderboards older than these fields."""

    entry: str
    rank: int | None
    equivariance: str
    numeric_mode: str | None
    seeds: tuple[int, ...]
    metrics: Mapping[str, KeptSummary | None]
    test_images: int | None = None
    spec_digest: str | None = None
    records: tuple[str, ...] | None = None

    @model_validator(mode="after")
    def _a_record_for_each_seed(self) -> Self:
        if self.records is not None and len(self.records) != len(self.seeds):
            raise ValueError(f"{how_many(len(self.seeds), 'seed')} and {how_many(len(self.records), 'record')}")
        return self


class KeptBoard(Tolerant):
    """One benchmark's leaderboard."""

    benchmark: str
    rank_by: str
    rows: tuple[KeptRow, ...]


_BOARDS = TypeAdapter(tuple[KeptBoard, ...])


def parsed(text: bytes, name: str) -> tuple[KeptBoard, ...]:
    """The boards in a kept leaderboard.

    Args:
        text: its bytes.
        name: what messages call it.

    Raises:
        UserError: it holds no leaderboard.
    """
    written = "write one: gcnnbench leaderboard --format json"
    try:
        parse_json(text)
        return _BOARDS.validate_json(text)
    except ValidationError as error:
        raise UserError(f"{name}: no leaderboard: {mistakes(error)}; {written}") from None
    except ValueError as error:
        raise UserError(f"{name}: no leaderboard: {error}; {written}") from None
