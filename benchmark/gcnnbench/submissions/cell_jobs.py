"""Runs a job of the contained process on one cell: what it is given, the limits that it has, and its report as data.

Time is bounded by the multiply-accumulates on the card. A report says what it says; nothing in it is believed here.
"""

from __future__ import annotations

import json
from typing import Any, TypeVar

from pydantic import ValidationError
from torch import Tensor

from gcnnbench.cards.base import Model, split_entry
from gcnnbench.data.fitted import shares_of
from gcnnbench.data.registered import load_dataset
from gcnnbench.data.splits import Splits
from gcnnbench.nn.groups import group
from gcnnbench.runs.cell import Cell
from gcnnbench.submissions.findings import Finding, Refused
from gcnnbench.submissions.limits import Limits
from gcnnbench.submissions.sandbox import Code, Job, Outcome, run_isolated

MEMORY_BYTES = 2**33
CELL_SECONDS = 24 * 3600.0
"""The longest that a cell may take at all."""
SLACK_SECONDS, IMAGE_SECONDS, MACS_PER_SECOND = 600.0, 0.002, 1e9
"""What a job may take beside its passes, and for one image in a pass: a tenth of the speed of this suite's networks."""
BACKWARD = 3
"""A training step costs as much as so many forward passes."""
SLACK_BYTES = 2**28

Tensors = dict[str, Tensor]
Report = TypeVar("Report", bound=Model)


def shares(cell: Cell) -> Splits:
    """The images of each share as the data set holds them.

    Raises:
        UserError: the data set is not here, or is damaged.
    """
    parts = load_dataset(cell.registry, cell.card.dataset, cell.data)
    return shares_of(cell.card, parts, cell.seed, cell.limit)


def scoring_seconds(cell: Cell, images: int) -> float:
    """The most that scoring so many images under every condition may take, by the MACs on the card."""
    protocol = cell.card.evaluation
    return _seconds(cell, images * (len(group(protocol.group).elements) + len(protocol.curve.angles)))


def training_seconds(cell: Cell, images: int, validated: int) -> float:
    """The most that training on so many images an epoch may take, by the MACs on the card."""
    return _seconds(cell, cell.card.recipe.epochs * (2 * BACKWARD * images + validated))


def _seconds(cell: Cell, passes: int) -> float:
    stated = cell.model.count_at(cell.card.input.channels, _classes(cell), split_entry(cell.entry)[1])
    if stated is None or stated.macs is None:
        return CELL_SECONDS
    return min(CELL_SECONDS, SLACK_SECONDS + passes * (IMAGE_SECONDS + stated.macs / MACS_PER_SECOND))


def _classes(cell: Cell) -> int:
    return cell.registry.dataset(cell.card.dataset).classes


def run_job(
    job: Job, cell: Cell, code: Code, tensors: Tensors, seconds: float, trust: bool, **arguments: Any
) -> Outcome:
    """Run a job on a cell, whatever it finds.

    Args:
        job: which one.
        cell: what it is about; on the CPU.
        code: the submission's files.
        tensors: all the data that it sees.
        seconds: what it may take.
        trust: whether the code may run where there is no isolation.
        **arguments: of this job, beside those of all.

    Raises:
        UserError: there is no isolation and no trust.
    """
    given = {
        "benchmark": cell.card.model_dump(mode="json"),
        "model": cell.model.model_dump(mode="json"),
        "entry": cell.entry,
        "classes": _classes(cell),
        "seed": cell.seed,
        "threads": cell.threads,
    }
    held = sum(tensor.nbytes for tensor in tensors.values())
    limits = Limits(seconds, MEMORY_BYTES + 20 * held, output_bytes=SLACK_BYTES + 4 * held)
    return run_isolated(job, code, given | arguments, tensors, limits, trust=trust)


def run_job_or_refuse(
    job: Job, cell: Cell, code: Code, tensors: Tensors, seconds: float, trust: bool, **arguments: Any
) -> Outcome:
    """Run a job as `run_job` does, which must find nothing wrong.

    Raises:
        UserError: there is no isolation and no trust.
        Refused: it found something, named with the cell.
    """
    outcome = run_job(job, cell, code, tensors, seconds, trust, **arguments)
    if outcome.findings:
        raise Refused(one.model_copy(update={"what": f"{cell.name}: {one.what}"}) for one in outcome.findings)
    return outcome


def read_report(form: type[Report], report: dict[str, Any]) -> Report:
    """The part of a report that is used; what else it says is passed over.

    Raises:
        Refused: it is of another form.
    """
    try:
        return form.model_validate_json(json.dumps({key: report[key] for key in form.model_fields if key in report}))
    except (ValidationError, ValueError) as error:
        raise unreadable(f"the report ({' '.join(str(error).split())[:200]})") from None


def unreadable(what: str) -> Refused:
    """The refusal of a process that left something else than it must."""
    remedy = "leave the process's files and descriptors alone"
    found = Finding(check="unreadable-result", what=f"the process left something else than {what}", remedy=remedy)
    return Refused([found])
