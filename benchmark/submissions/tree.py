"""A folder from elsewhere, read without trusting it: plain files only, all of them inside it, none too large."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmark.submissions.findings import Finding

FILES = 10_000
WEIGHTS_BYTES = 2_000_000_000
TEXT_BYTES = 1_000_000
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

    What Python leaves behind (`__pycache__`) is passed over.
    """
    files: dict[str, int] = {}
    findings = []
    for path in _walk(folder):
        name, mode = path.relative_to(folder).as_posix(), path.lstat().st_mode
        if stat.S_ISLNK(mode):
            remedy = "put the file itself there"
            findings.append(Finding(check="symlink", what=f"{name} is a link", remedy=remedy))
        elif not stat.S_ISREG(mode):
            findings.append(Finding(check="special-file", what=f"{name} is no plain file", remedy="take it out"))
        elif len(files) == FILES:
            findings.append(Finding(check="size-limit", what=f"more than {FILES} files", remedy="bring fewer"))
            break
        else:
            files[name] = path.lstat().st_size
    return Tree(dict(sorted(files.items())), tuple(findings))


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir(follow_symlinks=False):
            if entry.name != "__pycache__":
                yield from _walk(Path(entry.path))
        else:
            yield Path(entry.path)


def read_inside(folder: Path, name: str, limit: int) -> bytes:
    """The content of a plain file below a folder, of at most `limit` bytes; no link on the way is followed.

    Raises:
        OSError: it is a link, or no plain file.
        ValueError: it is larger.
    """
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
            content = stream.read(limit + 1)
    finally:
        os.close(file)
    if len(content) > limit:
        raise ValueError(f"{name} has more than {limit:,} bytes")
    return content
