"""Checkpoints: the state of an unfinished cell on disk, taken up again only where it is whole and gives the same bits.

A checkpoint begins with a line that names its form, the sha256 and the length of what follows, so that no byte of it is
looked at before all of them are known to be those that were written.
"""

from __future__ import annotations

import hashlib
import io

import torch

from gcnnbench.outside_text import as_line
from gcnnbench.plain_files import read_plain
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.state import CellState
from gcnnbench.runs.store import Store
from gcnnbench.scoring.conditions import EvaluationState
from gcnnbench.training.task import TrainingState

FORM = b"gcnnbench state 1"
STATE_BYTES = 64_000_000_000


def dump(state: CellState) -> bytes:
    """A state as bytes, with their digest in front."""
    content = io.BytesIO()
    torch.save({**vars(state), "training": vars(state.training), "evaluation": vars(state.evaluation)}, content)
    written = content.getvalue()
    return b"%s %s %d\n" % (FORM, hashlib.sha256(written).hexdigest().encode(), len(written)) + written


def parse(content: bytes) -> CellState:
    """The state that bytes hold.

    Raises:
        ValueError: they are not whole, or of another form than this suite's; in words.
    """
    line, _, written = content.partition(b"\n")
    if not line.startswith(FORM + b" "):
        raise ValueError("it is of another form than this suite keeps")
    if line != b"%s %s %d" % (FORM, hashlib.sha256(written).hexdigest().encode(), len(written)):
        raise ValueError("it is damaged: its bytes are not those that were written")
    try:
        parts = torch.load(io.BytesIO(written), map_location="cpu", weights_only=True)
        training, evaluation = TrainingState(**parts.pop("training")), EvaluationState(**parts.pop("evaluation"))
        return CellState(**parts, training=training, evaluation=evaluation)
    except Exception as error:  # whole, so another version made it; anything may be missing
        raise ValueError(f"it is of another form than this suite keeps ({as_line(str(error), 100)})") from None


def read(store: Store, cell: Cell) -> tuple[bytes | None, str | None]:
    """The bytes of a cell's last checkpoint, else in words why they cannot be read; both null where there is none."""
    try:
        return read_plain(store.state_path(cell), STATE_BYTES), None
    except FileNotFoundError:
        return None, None
    except OSError as error:
        return None, f"its checkpoint cannot be read ({error.strerror})"


def taken_up(content: bytes, cell: Cell) -> tuple[CellState | None, str | None]:
    """The state that bytes hold, if the same protocol made it on a machine like this one; else in words why not."""
    try:
        state = parse(content)
    except ValueError as error:
        return None, f"its checkpoint is not gone on from: {error}"
    if state.digest != cell.digest:
        return None, "its checkpoint is one of another protocol"
    if state.machine != cell.machine:
        return None, f"its checkpoint is one of another machine: {as_line(state.machine, 200)}"
    return state.resumed(), None
