"""What running a cell gives, as values: its state on the way, last its record, a failure, or a stop of the machine.

This is all that an engine needs: it hands a cell with its state to `steps` wherever it likes and hands what comes of it
to the store, which alone writes.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from gcnnbench.errors import UnavailableError, UserError, told
from gcnnbench.foreign_code import WITHIN_GENERATORS, raise_if_told_to_end, said_and_where
from gcnnbench.outside_text import as_line, as_text
from gcnnbench.runs import provenance
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_cell
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.record import SCHEMA_VERSION, Failure
from gcnnbench.runs.state import CellState
from gcnnbench.scoring.conditions import UnusableError
from gcnnbench.training.loop import DivergedError

OF_THE_MACHINE: tuple[type[BaseException], ...] = (
    OSError,
    MemoryError,
    UnavailableError,
    torch.OutOfMemoryError,
    torch.AcceleratorError,
)
ALLOCATION = ("can't allocate memory", "not enough memory", "out of memory", "No space left on device")
"""What torch says in a plain RuntimeError where the CPU's memory, or shared memory, is at an end."""


@dataclass(frozen=True)
class Stopped:
    """The machine gave out: the cell is neither done nor failed, and its last state is as good as before."""

    reason: str


def steps(cell: Cell, state: CellState) -> Iterator[CellState | Finished | Failure | Stopped]:
    """Run one cell: its state after every epoch and condition, then exactly one end.

    Nothing is written, and no error comes out of it but an interruption. The state is one object that changes between
    the steps: keep what is needed of it before asking for the next.

    Args:
        cell: what to run.
        state: a new or an earlier state of the same cell; from an earlier one it goes on with the same bits.
    """
    try:
        yield from run_cell(cell, state)
    except WITHIN_GENERATORS as error:
        raise_if_told_to_end(error)
        yield ended_by(cell, state, error)


def ended_by(cell: Cell, state: CellState, error: BaseException) -> Failure | Stopped:
    """What an error makes of a cell: its own failure, which is kept, or a stop that is the machine's."""
    if is_of_the_machine(error):
        return Stopped(as_line(told(error)))
    expected = isinstance(error, DivergedError | UnusableError | UserError)
    return Failure(
        schema_version=SCHEMA_VERSION,
        benchmark=cell.card.full_name,
        entry=cell.entry,
        seed=cell.seed,
        spec_digest=cell.digest,
        official=cell.limit is None,
        reason=as_line(str(error) if expected else f"{type(error).__name__}: {error}"),
        phase=state.phase,
        epoch=state.training.epochs_done or None,
        at=provenance.now(),
        details="" if expected else as_text("".join(traceback.format_exception(error))),
    )


def said_of_network(error: BaseException) -> str:
    """What an error says of the network that was run, and where; one that says nothing of it is raised again.

    Raises:
        BaseException: the error, where the machine gave out, or a signal told the process to end.
    """
    raise_if_told_to_end(error)
    if is_of_the_machine(error) and not isinstance(error, UserError):
        raise error
    return said_and_where(error)


def is_of_the_machine(error: BaseException) -> bool:
    """Whether an error says something of the machine and nothing of the cell: memory, disks, data that is not there."""
    if isinstance(error, OF_THE_MACHINE):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in ALLOCATION)
