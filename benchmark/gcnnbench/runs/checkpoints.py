"""Checkpoints: the state of an unfinished cell on disk, taken up again only where it is whole and gives the same bits.

A checkpoint begins with a line that names its form, the sha256 and the length of what follows, so that no byte of it is
looked at before all of them are known to be those that were written. The line ends with what the state says of itself,
which the sha256 covers, too; it is lacking in checkpoints that are older than it.
"""

from __future__ import annotations

import hashlib
import io
import json
from dataclasses import asdict, dataclass

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
LINE_BYTES = 1000


@dataclass(frozen=True)
class Stated:
    """What a checkpoint says of itself, to be read without its tensors: its protocol, and how it was trained so far."""

    digest: str
    seeds_at_once: int
    place: int | None
    epochs_done: int


def dump(state: CellState) -> bytes:
    """A state as bytes, with their digest in front."""
    content = io.BytesIO()
    torch.save({**vars(state), "training": vars(state.training), "evaluation": vars(state.evaluation)}, content)
    stated = Stated(state.digest, state.seeds_at_once, state.place, state.training.epochs_done)
    written = content.getvalue()
    return _first_line(json.dumps(asdict(stated)).encode(), written) + b"\n" + written


def stated(content: bytes) -> Stated | None:
    """What a checkpoint says of itself in its first line; null where it says nothing, or nothing that can be read."""
    said = content[:LINE_BYTES].partition(b"\n")[0].removeprefix(FORM).split(b" ", 3)[3:]
    try:
        return Stated(**json.loads(said[0])) if said else None
    except (ValueError, TypeError):
        return None


def parse(content: bytes) -> CellState:
    """The state that bytes hold.

    Raises:
        ValueError: they are not whole, or of another form than this suite's; in words.
    """
    line, _, written = content.partition(b"\n")
    if not line.startswith(FORM + b" "):
        raise ValueError("it is of another form than this suite keeps")
    if line != _first_line(b"".join(line.removeprefix(FORM).split(b" ", 3)[3:]), written):
        raise ValueError("it is damaged: its bytes are not those that were written")
    try:
        parts = torch.load(io.BytesIO(written), map_location="cpu", weights_only=True)
        training, evaluation = TrainingState(**parts.pop("training")), EvaluationState(**parts.pop("evaluation"))
        return CellState(**parts, training=training, evaluation=evaluation)
    except Exception as error:  # whole, so another version made it; anything may be missing
        raise ValueError(f"it is of another form than this suite keeps ({as_line(str(error), 100)})") from None


def _first_line(said: bytes, written: bytes) -> bytes:
    line = b"%s %s %d" % (FORM, hashlib.sha256(said + written).hexdigest().encode(), len(written))
    return b"%s %s" % (line, said) if said else line


def stated_in(store: Store, cell: Cell) -> Stated | None:
    """What a cell's last checkpoint says of itself; null where there is none of its protocol that can be read."""
    path = store.state_path(cell)
    if not path.is_file():
        return None
    try:
        with path.open("rb") as file:
            said = stated(file.readline(LINE_BYTES))
    except OSError:
        return None
    return said if said is not None and said.digest == cell.digest else None


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
