"""Reads a folder from elsewhere without trusting it: plain files only, all of them inside it, none too large."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from gcnnbench.submissions.findings import Finding

FILES = 10_000
DEPTH = 8
WEIGHTS_BYTES = 2_000_000_000
TEXT_BYTES = 1_000_000
PIECE = 1 << 20
PICKLED = {".bin", ".ckpt", ".joblib", ".npy", ".npz", ".pickle", ".pkl", ".pt", ".pth"}
PICKLE_STARTS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04")
"""How pickles of protocol 2 to 5 begin, and the zip files in which torch keeps its own."""


@dataclass(frozen=True)
class Tree:
    """The plain files of a folder by their paths with `/`, and what is wrong with the others."""

    files: Mapping[str, int]
    findings: tuple[Finding, ...]


def survey_tree(folder: Path) -> Tree:
    """Every file below a folder with its size; links and special files are findings, and no link is followed.

    What Python leaves behind (`__pycache__`) is passed over. A folder that holds too much is not read to its end.
    """
    files: dict[str, int] = {}
    findings: list[Finding] = []
    waiting, seen = [PurePosixPath()], 0
    while waiting:
        here = waiting.pop()
        entries = list(_entries(folder / here))
        if not entries and here.parts:
            findings.append(Finding(check="empty-folder", what=f"{here} holds no file", remedy="take it out"))
        seen += len(entries)
        if seen > FILES:
            findings.append(Finding(check="size-limit", what=f"more than {FILES} files", remedy="bring fewer"))
            break
        for entry in entries:
            name, mode = here / entry.name, entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                if len(name.parts) > DEPTH:
                    what = f"folders are nested more than {DEPTH} deep"
                    findings.append(Finding(check="size-limit", what=what, remedy="bring plain files"))
                elif entry.name != "__pycache__":
                    waiting.append(name)
            elif stat.S_ISLNK(mode):
                findings.append(Finding(check="symlink", what=f"{name} is a link", remedy="put the file itself there"))
            elif not stat.S_ISREG(mode):
                findings.append(Finding(check="special-file", what=f"{name} is no plain file", remedy="take it out"))
            else:
                files[str(name)] = entry.stat(follow_symlinks=False).st_size
    return Tree(dict(sorted(files.items())), tuple(sorted(findings, key=str)))


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """At most one entry more than may be there in all."""
    with os.scandir(folder) as entries:
        yield from islice(entries, FILES + 1)


def read_inside(folder: Path, name: str, limit: int) -> bytes:
    """The content of a plain file below a folder, of at most `limit` bytes; no link on the way is followed.

    Raises:
        OSError: it is a link, or no plain file.
        ValueError: it is larger.
    """
    with _opened(folder, name, limit) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"{name} has more than {limit:,} bytes")
    return content


def digest_inside(folder: Path, name: str, limit: int) -> str:
    """The sha256 of a plain file below a folder, read piece by piece; raises as `read_inside` does."""
    state, left = hashlib.sha256(), limit
    with _opened(folder, name, limit) as file:
        while piece := file.read(min(PIECE, left + 1)):
            left -= len(piece)
            if left < 0:
                raise ValueError(f"{name} has more than {limit:,} bytes")
            state.update(piece)
    return state.hexdigest()


@contextmanager
def _opened(folder: Path, name: str, limit: int) -> Iterator[BinaryIO]:
    """A plain file below a folder, reached without following a link, and refused unread where it is larger."""
    file = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        *parents, last = PurePosixPath(name).parts
        for part in parents:
            inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=file)
            os.close(file)
            file = inner
        inner = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=file)
        os.close(file)
        file = inner
        if not stat.S_ISREG(os.fstat(file).st_mode):
            raise OSError(f"{name} is no plain file")
        if os.fstat(file).st_size > limit:
            raise ValueError(f"{name} has more than {limit:,} bytes")
        with os.fdopen(os.dup(file), "rb") as stream:
            yield stream
    finally:
        os.close(file)
