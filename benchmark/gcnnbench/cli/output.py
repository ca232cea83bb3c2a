"""Writes a verb's text to stdout, as wide as the terminal: one way for every verb that prints tables or prose.

A terminal, or `COLUMNS`, says how wide; where stdout is piped and neither does, the text goes out as it is, so that its
tables stay Markdown. CSV, JSON, LaTeX and what is written to files never come here.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Any

import typer

from gcnnbench.cli.advice import advised
from gcnnbench.cli.fitting import fit_table
from gcnnbench.layout import WIDTH, joined, wrapped

ITEM = re.compile(r"\s*(?:[-*] |\d+\. )")
COLUMN = re.compile(r"\s*\S+(?: \S+)*(?:\s{2,}|: )")
FEWEST = 20
"""Columns below which nothing is fitted; no terminal for reading is so narrow."""


def columns() -> int | None:
    """How many columns the reader has, or None where stdout is no terminal and `COLUMNS` is not set."""
    asked = os.environ.get("COLUMNS", "")
    if asked.isascii() and asked.isdigit() and int(asked) >= FEWEST:
        return int(asked)
    try:
        found = os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 0
    except (OSError, ValueError):
        return None
    return found if found >= FEWEST else None


def tell(text: str, form: str = "md") -> None:
    """Print a verb's text, which ends with one newline whether it had it or not; nothing of none.

    Args:
        text: what is to be told.
        form: as the option `--format` has it; only `md` is fitted to the reader's columns.
    """
    width, text = columns() if form == "md" else None, advised(text, form)
    if text:
        typer.echo((text if width is None else fitted(text, width)).removesuffix("\n"))


def tell_document(document: Any, *, advise: bool = True) -> None:
    """Print a JSON document for programs; instances of dataclasses become objects.

    Args:
        document: what is to be told.
        advise: whether commands in it are completed by the user's options; not in what others wrote.
    """
    from gcnnbench.strict_json import json_document

    text = json_document(document)
    typer.echo(advised(text, "json") if advise else text, nl=False)


def tell_aside(text: str) -> None:
    """Print on stderr, as it is: findings and what is to be done about them."""
    typer.echo(advised(text), err=True)


def fitted(text: str, width: int) -> str:
    """The same words in lines of at most so many columns; what cannot be broken, as a command, may be longer."""
    parts: list[str] = []
    for table, block in groupby(text.split("\n"), key=lambda line: line.startswith("|")):
        lines = list(block)
        parts += [fit_table(lines, width)] if table else _prose(lines, width)
    return "\n".join(parts)


def _prose(lines: list[str], width: int) -> Iterator[str]:
    """Lines that fit as they are; of a paragraph with one that does not, all words folded again."""
    for paragraph in _paragraphs(lines):
        if all(len(line) <= width for line in paragraph):
            yield from paragraph
            continue
        words = " ".join([paragraph[0].rstrip(), *(line.strip() for line in paragraph[1:])])
        indent = len(words) - len(words.lstrip())
        inner = ITEM.match(words) or COLUMN.match(words)
        hanging = len(paragraph[1]) - len(paragraph[1].lstrip()) if len(paragraph) > 1 else inner.end() if inner else 0
        hanging = hanging if hanging <= width // 3 else indent + 2
        yield wrapped(words, width, " " * hanging)


def _paragraphs(lines: list[str]) -> Iterator[list[str]]:
    """Lines together that were folded from one: the first word or command of the next did not fit behind."""
    found: list[str] = []
    for line in lines:
        first = joined(line).split(maxsplit=1)[0] if line.strip() else ""
        goes_on = found and first and not ITEM.match(line) and len(found[-1]) + 1 + len(first) > WIDTH >= len(found[-1])
        if found and not goes_on:
            yield found
            found = []
        found.append(line)
    if found:
        yield found
