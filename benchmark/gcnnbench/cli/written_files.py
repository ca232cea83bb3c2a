"""Options that name files to be written: their place is tried as the option is read, before hours of work for it."""

from __future__ import annotations

from pathlib import Path

from gcnnbench.disk import require_writable
from gcnnbench.errors import UserError


def file_to_write(path: Path | None) -> Path | None:
    """The file, whose place can be written.

    Raises:
        OSError: it cannot.
    """
    if path is not None:
        require_writable(path)
    return path


def folder_to_write_in(folder: Path | None) -> Path | None:
    """The folder, in which a file can be written.

    Raises:
        OSError: it cannot.
    """
    if folder is not None:
        require_writable(folder / "file")
    return folder


def stem_to_write(stem: Path | None) -> Path | None:
    """A path with a name, from which other names are made, and beside which a file can be written.

    Raises:
        UserError: it is a folder alone, as `.` is.
        OSError: nothing can be written there.
    """
    if stem is not None:
        if stem.name in ("", ".."):
            raise UserError(f"{stem} is a folder: add the name of what is written in it, as in {stem / 'NAME'}")
        folder_to_write_in(stem.parent)
    return stem
