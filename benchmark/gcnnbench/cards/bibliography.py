"""Reads the one bibliography, `registry/references.bib`: which sources there are, and the BibTeX of each."""

from __future__ import annotations

import re
from pathlib import Path

from gcnnbench.errors import UserError

_ENTRY = re.compile(r"^@(?P<type>[A-Za-z]+)\s*\{\s*(?P<key>[^\s,{}]+)\s*,", re.MULTILINE)


def read_bibliography(path: Path) -> dict[str, str]:
    """The BibTeX entries of a file by their keys, as they stand in it.

    Raises:
        UserError: the file cannot be read, a key stands twice, or an entry's braces do not close.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read: {error}") from None
    entries: dict[str, str] = {}
    for match in _ENTRY.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if match["key"] in entries:
            raise UserError(f"{path}:{line}:1: {match['key']} stands twice; keep one")
        end = _end(text, match.start())
        if end is None:
            raise UserError(f"{path}:{line}:1: {match['key']}: a brace is not closed")
        entries[match["key"]] = text[match.start() : end]
    return entries


def _end(text: str, start: int) -> int | None:
    """The index after the brace that closes the first one opened from `start` on."""
    depth = 0
    for index in range(text.index("{", start), len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index + 1
        if text.startswith("\n@", index):
            return None
    return None
