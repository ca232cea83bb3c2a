"""Files are read only where they are plain ones of a bounded size: no pipe or device is waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from gcnnbench.errors import UserError

READ_BYTES = 256_000_000
"""Bytes of the largest document that is read; a record has some ten thousand."""


def read_plain(path: Path, most: int = READ_BYTES) -> bytes:
    """The content of a plain file; a pipe or device is not waited for, and nothing beyond a bound is read.

    Args:
        path: the file, or a link to it.
        most: the bytes that it may have.

    Raises:
        OSError: it cannot be read, is no plain file, or is larger.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no plain file", str(path))
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(found.st_size + 1) if found.st_size <= most else b""
    if max(found.st_size, len(content)) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes", str(path))
    return content


def read_given(path: Path) -> bytes:
    """The content of a plain file that the user names, as `read_plain` reads it.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return read_plain(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def read_text_given(path: Path) -> str:
    """The text of a plain file that the user names, as `read_plain` reads it.

    Raises:
        UserError: it cannot be read, or is no text in UTF-8.
    """
    try:
        return read_given(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: it is no text in UTF-8: {error.reason} at byte {error.start}") from None
