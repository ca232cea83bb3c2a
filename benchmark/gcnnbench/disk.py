"""Files on disk are written whole or not at all; whether a place takes one is found out before the work for it."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

if sys.platform != "win32":
    import fcntl

PREFIX, SUFFIX = ".gcnnbench-", ".tmp"
"""How the names of files begin and end that are being written."""
TRIED_BYTES = 4096
"""Bytes that are written to find out whether a place can be written; a full disk may take an empty file and no more."""
DEVICES = Path("/dev")
"""Where names stand for devices, also one that leads to a file now, as /dev/stdout may; root could replace it."""
REMEDIES = {
    errno.ENOSPC: "make room there, or name another place",
    errno.EDQUOT: "make room within the quota there, or name another place",
    errno.EFBIG: "raise the limit on a file's size (ulimit -f), or name another place",
}
"""What to do where a file cannot be written, by the number of the error; else another place must be named."""


@contextmanager
def whole_file(path: Path, temporary: Path | None = None) -> Iterator[BinaryIO]:
    """Open a file for writing that appears at its place only when all is written and flushed, or not at all.

    It is written aside under a lock that ends with its writer, then renamed, and the folder is synced. What killed
    writers left in the folder for temporary files is swept first.

    Args:
        path: where it is to stand; what stands there is replaced.
        temporary: the folder for temporary files, on the same disk if possible; that of `path` where none is given.

    Raises:
        OSError: it cannot be written; what stood at the place is as it was.
    """
    folder = temporary or path.parent
    _refuse_taken(path)
    make_folder(path.parent)
    make_folder(folder)
    sweep(folder)
    with errors_name_folder(folder):
        file, aside = _open_aside(folder)
    try:
        yield file
        _flush(file)
        try:
            aside.replace(path)
        except OSError as error:
            if error.errno != errno.EXDEV or temporary is None:
                raise
            with aside.open("rb") as written, whole_file(path) as copy:  # another disk: once more, beside it
                shutil.copyfileobj(written, copy, 1 << 20)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(aside)):
            raise  # of what is read, or of another file
        what = f"cannot be written ({error.strerror}); {_remedy(error)}"
        raise OSError(error.errno, what, str(path)) from error
    finally:
        with suppress(OSError):  # what did not fit stays in the buffer, and closing tries it once more
            file.close()
        with suppress(OSError):  # a disk that turned read-only keeps it, and what was told first is the reason
            aside.unlink()
    sync_folder(path.parent)


@contextmanager
def whole_files(contents: dict[Path, bytes], temporary: Path | None = None) -> Iterator[None]:
    """Write several files that belong together: where one of them cannot be written, none is.

    All of them are on the disk, aside, before the body is run; after it they take their places in their order.

    Args:
        contents: what each file is to hold.
        temporary: the folder for temporary files, as in `whole_file`.

    Raises:
        OSError: one cannot be written; the body has not been run.
    """
    with ExitStack() as files:
        for path, content in reversed(contents.items()):
            file = files.enter_context(whole_file(path, temporary))
            file.write(content)
            _flush(file)
        yield


def write_whole(path: Path, content: bytes, temporary: Path | None = None) -> None:
    """Write a file so that it is there whole or not at all, as `whole_file` does."""
    with whole_file(path, temporary) as file:
        file.write(content)


def sweep(folder: Path) -> int:
    """Delete the temporary files in a folder whose writers are gone, and say how many there were."""
    if sys.platform == "win32" or not folder.is_dir():
        return 0
    swept = 0
    for path in folder.glob(f"{PREFIX}*{SUFFIX}"):
        try:
            with path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
        except OSError:
            continue  # still being written, gone already, or not ours to delete
        swept += 1
    return swept


def sync_folder(folder: Path) -> None:
    """Flush a folder to the disk, so that a name in it outlives a power cut; where its file system can do that."""
    if sys.platform == "win32":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:
        return  # one may write to it and not list it
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def require_writable(*paths: Path) -> None:
    """Refuse places where no file could be written, before the work for it is done. Nothing is left there.

    Raises:
        OSError: no file could be written in one of these places, as `whole_file` says it.
    """
    for path in paths:
        _refuse_taken(path)
    for folder in {_standing(path.parent) for path in paths}:
        with errors_name_folder(folder):
            file, aside = _open_aside(folder)
            try:
                file.write(bytes(TRIED_BYTES))
                _flush(file)
            finally:
                with suppress(OSError):
                    file.close()
                aside.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make a folder with those above it, each synced into the one that holds it.

    Raises:
        OSError: it cannot be made; the error names the folder in which that failed.
    """
    with errors_name_folder(folder):
        missing = [place for place in (folder, *folder.parents) if not place.exists()]
        folder.mkdir(parents=True, exist_ok=True)
    for made in reversed(missing):
        sync_folder(made.parent)


@contextmanager
def errors_name_folder(folder: Path) -> Iterator[None]:
    """Around what makes a folder or a file in it: an error names the folder that the user can mend, not the file.

    Raises:
        OSError: with the nearest place that is there, what is wrong with it, and what would be right.
    """
    try:
        yield
    except OSError as error:
        there = _standing(folder)
        if there.is_dir():
            what = f"nothing can be written in this directory ({error.strerror or error}); {_remedy(error)}"
        else:
            what = f"it is no directory, and one is needed in its place; {_remedy(error)}"
        raise OSError(error.errno, what, str(there)) from error


def _standing(folder: Path) -> Path:
    """The nearest place that is there: the folder, or one above it."""
    return next((place for place in (folder, *folder.parents) if os.path.lexists(place)), folder)


def _refuse_taken(path: Path) -> None:
    """Refuse the place of what is no plain file: it would be replaced, also a device such as /dev/null.

    Raises:
        OSError: there is a directory, a device or a pipe.
    """
    if path.exists() and (not path.is_file() or path.absolute().parent == DEVICES):  # a link to stdout is one, too
        is_folder = path.is_dir()
        what = f"it is {'a directory' if is_folder else 'no plain file'}, and a file is to be written in its place"
        raise OSError(errno.EISDIR if is_folder else errno.EINVAL, f"{what}; name another place", str(path))


def _remedy(error: OSError) -> str:
    return REMEDIES.get(error.errno or 0, "name another place")


def _flush(file: BinaryIO) -> None:
    """Have all that was written on the disk."""
    file.flush()
    os.fsync(file.fileno())


def _open_aside(folder: Path) -> tuple[BinaryIO, Path]:
    """A new temporary file, locked, with its place."""
    while True:
        path = folder / f"{PREFIX}{secrets.token_hex(8)}{SUFFIX}"
        file = path.open("xb")
        if sys.platform != "win32":
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError:  # a file system without locks
                file.close()
                path.unlink(missing_ok=True)
                raise
            if os.fstat(file.fileno()).st_nlink == 0:  # swept between its making and its locking
                file.close()
                continue
        return file, path
