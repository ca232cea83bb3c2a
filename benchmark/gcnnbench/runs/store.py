"""The results directory: the only place that writes records, failures, weights, outputs and checkpoints."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from filelock import FileLock, Timeout

from gcnnbench.cards.base import Model
from gcnnbench.data.copies import UNKNOWN
from gcnnbench.disk import (
    errors_name_folder,
    make_folder,
    require_writable,
    sweep,
    sync_folder,
    whole_files,
    write_whole,
)
from gcnnbench.errors import UserError
from gcnnbench.plain_files import read_plain
from gcnnbench.runs.files import blob, weights_path
from gcnnbench.runs.record import Failure, Record
from gcnnbench.strict_json import parse_model

if TYPE_CHECKING:
    from gcnnbench.runs.cell import Cell
    from gcnnbench.runs.finish import Finished

if sys.platform != "win32":
    import fcntl


@dataclass(frozen=True)
class Store:
    """A results directory.

    Args:
        results: the directory; it is made when something is written.
    """

    results: Path

    @property
    def temporary(self) -> Path:
        """The folder for files that are being written; git does not look into it."""
        return self.results / ".work" / "tmp"

    def write(self, path: Path, content: bytes) -> None:
        """Write a file below the results directory, whole or not at all.

        Raises:
            OSError: it cannot be written; what stood there is as it was.
        """
        write_whole(path, content, self.temporary)

    def write_together(self, contents: dict[Path, bytes]) -> None:
        """Write files below the results directory that belong together: all are on the disk before one takes its place.

        Those that are as they shall be are left alone: each of the others is held open until all are written.

        Raises:
            OSError: one of them cannot be written; what stood in their places is as it was.
        """
        changed = {path: new for path, new in contents.items() if not path.is_file() or path.read_bytes() != new}
        with whole_files(changed, self.temporary):
            pass

    def sweep(self) -> None:
        """Delete what writers left that were killed."""
        sweep(self.temporary)

    def require_writable(self, *paths: Path) -> None:
        """Refuse places in which this directory could not keep a file, before the work for it is done.

        Raises:
            OSError: one of them could not be written, or none aside.
        """
        require_writable(self.temporary / "file", *paths)

    def path(self, cell: Cell, kind: str = "") -> Path:
        """Where a cell's record is kept, or another file of it (`kind` as in `failed`, `unofficial`)."""
        name = f"seed-{cell.seed}.{kind}.json" if kind else f"seed-{cell.seed}.json"
        return self.results / cell.card.full_name / cell.entry / name

    def record_path(self, cell: Cell) -> Path:
        """Where this cell's record is kept; a limited cell is kept apart."""
        return self.path(cell, "" if cell.limit is None else "unofficial")

    def failure_path(self, cell: Cell) -> Path:
        """Where this cell's failure is kept; that of a limited cell is kept apart, as it excuses nothing."""
        return self.path(cell, "failed" if cell.limit is None else "unofficial-failed")

    def places(self, cell: Cell) -> Iterator[Path]:
        """Where files of a cell are written while it runs and at its end."""
        record = self.record_path(cell)
        yield from (record, record.with_suffix(".safetensors"), self.failure_path(cell), self.state_path(cell))
        yield blob(self.results, "outputs")

    def record(self, cell: Cell) -> Record | None:
        """The record of this cell, of whatever protocol it was made by; null where there is none.

        Raises:
            UserError: the file is no record.
        """
        path = self.record_path(cell)
        return read_record(path) if path.exists() else None

    def is_whole(self, cell: Cell, record: Record) -> bool:
        """Whether the weights that a record commits stand beside it, in the length that it states."""
        if not record.weights.committed:
            return True
        path = weights_path(self.record_path(cell), self.results, record)
        return path.is_file() and path.stat().st_size == record.weights.bytes

    def failure(self, cell: Cell) -> Failure | None:
        """Why this cell failed, where it did.

        Raises:
            UserError: the file is no failure.
        """
        path = self.failure_path(cell)
        return _read(path, Failure) if path.exists() else None

    def add(self, cell: Cell, finished: Finished, *, repeat: bool = False) -> Path:
        """Keep a finished cell: its record with its files, or nothing. A record of another protocol goes aside first.

        Args:
            cell: the cell.
            finished: its record and files.
            repeat: keep it as a further record of a cell that has one; that of a limited cell is replaced all the same.

        Returns:
            The record's path.

        Raises:
            UserError: its spec names no copy of a data set, so that nobody could say what it was made on.
            OSError: it cannot be written; what stood there is as it was, and the cell's checkpoint is kept.
        """
        record = finished.record
        if unread := [part for part, digest in record.spec.get("data", {}).items() if digest == UNKNOWN]:
            raise UserError(f"{cell.name}: its spec names no copy of part {unread[0]}; a record that does is wanted")
        path = self.record_path(cell)
        if path.exists() and repeat and cell.limit is None:
            taken = [int(found[1]) for found in self._siblings(path, rf"seed-{cell.seed}\.repeat-(\d+)\.json")]
            path = self.path(cell, f"repeat-{max(taken, default=0) + 1}")
        files = {weights_path(path, self.results, record): finished.weights}
        if record.outputs is not None:
            files[blob(self.results, record.outputs.sha256)] = finished.outputs
        files[path] = record.model_dump_json(indent=1).encode() + b"\n"  # last: where it stands the others do
        with whole_files(files, self.temporary):
            if path.exists():
                self._set_aside(path, record.spec_digest)
        self.failure_path(cell).unlink(missing_ok=True)
        self.state_path(cell).unlink(missing_ok=True)
        return path

    def _set_aside(self, path: Path, digest: str) -> None:
        """Make room for a record: another protocol's, or what is no record, is kept under another name."""
        try:
            old = read_record(path).spec_digest
        except UserError:
            old = "unreadable"
        if old == digest:
            return  # without its weights, or it would not be made again
        name = old[:8] if len(old) == len(digest) else old
        stem, number = f"{path.stem}.stale-{name}", 1
        while path.with_name(f"{stem}.json").exists():
            number += 1
            stem = f"{path.stem}.stale-{name}_{number}"
        for suffix in (".safetensors", ".json"):
            if (mate := path.with_suffix(suffix)).exists():
                mate.replace(path.with_name(f"{stem}{suffix}"))
        sync_folder(path.parent)

    def add_failure(self, cell: Cell, failure: Failure) -> Path:
        """Keep why a cell failed, and drop its checkpoint: going on from it would fail again."""
        path = self.failure_path(cell)
        self.write(path, failure.model_dump_json(indent=1).encode() + b"\n")
        self.state_path(cell).unlink(missing_ok=True)
        return path

    def state_path(self, cell: Cell) -> Path:
        """Where a cell's checkpoint is kept."""
        return self.results / ".work" / self.record_path(cell).relative_to(self.results).with_suffix(".state")

    @contextmanager
    def claim(self, cell: Cell) -> Iterator[bool]:
        """Claim a cell for this process: true if nobody else holds it. A claim ends with its process, killed or not."""
        path = self.state_path(cell).with_suffix(".lock")
        make_folder(path.parent)
        with errors_name_folder(path.parent):
            path.touch()
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

    def is_held(self, cell: Cell) -> bool:
        """Whether some process holds this cell now; nothing is written to find out."""
        path = self.state_path(cell).with_suffix(".lock")
        if not path.is_file():
            return False
        if sys.platform == "win32":
            with self.claim(cell) as free:
                return not free
        with path.open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

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
        return parse_model(read_plain(path), form)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: no {form.__name__.lower()}: {error}") from None
