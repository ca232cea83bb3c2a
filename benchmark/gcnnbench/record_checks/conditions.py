"""What re-scoring and re-training share: the cell that a record says it is of, and the outcome of a check."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.record import Record

OF_THE_CARD = ("split", "input", "recipe", "evaluation")
"""The parts of a spec that stand on the benchmark's card; the rest comes from the entry's and the data set's."""


class Conditions(StrEnum):
    """What is scored again: the upright images, all group elements, or the angles of the curve, too."""

    upright = "upright"
    elements = "elements"
    all = "all"


class NotCheckableError(Exception):
    """A deeper grade cannot be reached, for a reason that is nobody's fault; the record stays at the grade it has."""


@dataclass(frozen=True)
class Outcome:
    """What a deeper check found wrong, what it covered, what it did not, and what decides nothing, in words."""

    findings: tuple[str, ...]
    checked: tuple[str, ...]
    unchecked: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()


def cell_of(registry: Registry, record: Record, device: str, data: Path) -> Cell:
    """The cell that a record says it is of, under the protocol that the record states, also a superseded one.

    Args:
        registry: holds the network, the data set and the benchmark's name.
        record: an official record.
        device: where it is to run.
        data: the data directory.

    Raises:
        NotCheckableError: this suite cannot make the record's numbers again, and why.
    """
    if not record.official:
        raise NotCheckableError(f"unofficial: {record.unofficial_because}")
    name, _, version = record.benchmark.partition("@")
    current = registry.card_of(record.benchmark)
    if current is None:
        raise NotCheckableError(f"{name} is not registered here")
    if record.entry.partition("@")[0] not in registry.models:
        raise NotCheckableError(f"{record.entry} is not registered here")
    stated = {part: record.spec[part] for part in OF_THE_CARD} | {"version": int(version), "entries": [record.entry]}
    try:
        text = json.dumps(current.model_dump(mode="json", exclude_none=True) | stated)
        card = BenchmarkCard.model_validate_json(text)
    except ValueError as error:
        raise NotCheckableError(f"its protocol is not one of this suite: {error}") from None
    cell = Cell(registry.at(card), name, record.entry, record.seed, device, record.provenance.threads, data)
    if cell.digest != record.spec_digest:
        made = cell.spec
        other = [part for part in {**made, **record.spec} if made.get(part) != record.spec.get(part)]
        superseded = "superseded, and " if int(version) < current.version else ""
        raise NotCheckableError(f"{superseded}made with another {', '.join(sorted(other))} than this suite has")
    return cell
