"""The results directory: the only place that writes records, failures, weights, outputs and checkpoints."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout
from pydantic import ValidationError

from benchmark.cards.schema import Model
from benchmark.errors import UserError
from benchmark.runs.files import blob, weights_path
from benchmark.runs.record import Failure, Record

if TYPE_CHECKING:
    from benchmark.runs.cell import Cell
    from benchmark.runs.finish import Finished


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all: aside, flushed to the disk, then renamed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with aside.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@dataclass(frozen=True)
class Store:
    """A results directory.

    Args:
        results: the directory; it is made when something is written.
    """

    results: Path

    def path(self, cell: Cell, kind: str = "") -> Path:
        """Where a cell's record is kept, or another file of it (`kind` as in `failed`, `unofficial`)."""
        name = f"seed-{cell.seed}.{kind}.json" if kind else f"seed-{cell.seed}.json"
        return self.results / cell.card.full_name / cell.entry / name

    def record_path(self, cell: Cell) -> Path:
        """Where this cell's record is kept; a limited cell is kept apart."""
        return self.path(cell, "" if cell.limit is None else "unofficial")

    def record(self, cell: Cell) -> Record | None:
        """The record of this cell, of whatever protocol it was made by; null where there is none.

        Raises:
            UserError: the file is no record.
        """
        path = self.record_path(cell)
        return read_record(path) if path.exists() else None

    def failure(self, cell: Cell) -> Failure | None:
        """Why this cell failed, where it did."""
        path = self.path(cell, "failed")
        return _read(path, Failure) if path.exists() else None

    def add(self, cell: Cell, finished: Finished, *, repeat: bool = False) -> Path:
        """Keep a finished cell. A record of another protocol goes aside first; the record itself is written last.

        Args:
            cell: the cell.
            finished: its record and files.
            repeat: keep it as a further record of a cell that has one.

        Returns:
            The record's path.
        """
        path = self.record_path(cell)
        if path.exists() and repeat:
            taken = [int(found[1]) for found in self._siblings(path, rf"seed-{cell.seed}\.repeat-(\d+)\.json")]
            path = self.path(cell, f"repeat-{max(taken, default=0) + 1}")
        elif path.exists():
            old = read_record(path)
            for suffix in (".safetensors", ".json"):
                if (mate := path.with_suffix(suffix)).exists():
                    mate.replace(path.with_name(f"{path.stem}.stale-{old.spec_digest[:8]}{suffix}"))
        record = finished.record
        write_whole(weights_path(path, self.results, record), finished.weights)
        if record.outputs is not None:
            write_whole(blob(self.results, record.outputs.sha256), finished.outputs)
        write_whole(path, record.model_dump_json(indent=1).encode() + b"\n")
        self.path(cell, "failed").unlink(missing_ok=True)
        self.state_path(cell).unlink(missing_ok=True)
        return path

    def add_failure(self, cell: Cell, failure: Failure) -> Path:
        """Keep why a cell failed, and drop its checkpoint: going on from it would fail again."""
        path = self.path(cell, "failed")
        write_whole(path, failure.model_dump_json(indent=1).encode() + b"\n")
        self.state_path(cell).unlink(missing_ok=True)
        return path

    def state_path(self, cell: Cell) -> Path:
        """Where a cell's checkpoint is kept."""
        return self.results / ".work" / self.record_path(cell).relative_to(self.results).with_suffix(".state")

    @contextmanager
    def claim(self, cell: Cell) -> Iterator[bool]:
        """Claim a cell for this process: true if nobody else holds it. A claim ends with its process, killed or not."""
        path = self.state_path(cell).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    @staticmethod
    def _siblings(path: Path, pattern: str) -> Iterator[re.Match[str]]:
        return (found for mate in path.parent.iterdir() if (found := re.fullmatch(pattern, mate.name)))


def read_record(path: Path) -> Record:
    """Read one record strictly.

    Raises:
        UserError: the file cannot be read or is no record of this form.
    """
    return _read(path, Record)


Form = TypeVar("Form", bound=Model)


def _read(path: Path, form: type[Form]) -> Form:
    try:
        return form.model_validate_json(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the whole file"
        raise UserError(f"{path}: no {form.__name__.lower()}: {where}: {first['msg']}") from None
