"""Tables, lists and paragraphs of Markdown that fit a terminal, and tables as CSV; texts are escaped here, once."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from textwrap import fill

from tabulate import DataRow, TableFormat, tabulate

from gcnnbench.escaping import csv_cell, markdown

WIDTH = 100
"""Columns that text for readers fits into."""
COMMAND = re.compile(
    r"\bgcnnbench\s+(?P<verb>verify\s+[a-z]+|[a-z]+)(?![\w`-])(?P<rest>(?:'[^'\n]*'|.)*?)(?=  |[;`|)\n]|$)",
    re.MULTILINE,
)
"""A command in prose, up to where it ends at the latest; a verb alone in backticks is only named."""
_JOINT = "\0"
"""Stands for a blank within a command; no command can hold it."""

Table = tuple[list[str], list[list[str]], str]
"""Headings, rows of cells, and the alignment of the first columns, `l` or `r`; further ones are left."""


def pipes(table: Table, *, roomy: bool = False) -> str:
    """A Markdown table, no wider than its cells.

    Args:
        table: headings, rows and alignment.
        roomy: headings have two columns more, and the rule names no alignment: the form of pages.
    """
    headings = [markdown(text) for text in table[0]]
    rows = [[markdown(text) for text in row] for row in table[1]]
    sides = ["right" if side == "r" else "left" for side in table[2].ljust(len(headings), "l")]
    if roomy:
        return tabulate(rows, headings, "github", colalign=sides, disable_numparse=True)
    first = [text.rjust(2) if side == "right" else text.ljust(2) for text, side in zip(headings, sides, strict=True)]
    made = tabulate([first, *rows], tablefmt=_BARE, colalign=sides, disable_numparse=True, preserve_whitespace=True)
    rule, head, *body = made.split("\n")
    return "\n".join([head, rule, *body])


def _rule(widths: list[int], sides: list[str]) -> str:
    """The line that names each column's side; widths count a space on both."""
    dashes = [("-" * (n - 3), side) for n, side in zip(widths, sides, strict=True)]
    return f"| {' | '.join(f'{some}:' if side == 'right' else f':{some}' for some, side in dashes)} |"


_BARE = TableFormat(_rule, None, None, None, None, DataRow("|", "|", "|"), 1, None)
"""Without headings, to which `tabulate` would add two columns: they are its first row."""


def csv_text(header: Sequence[str], lines: Iterable[Sequence[object]]) -> str:
    """A table as CSV: text escaped for spreadsheets, numbers in full, nothing where a cell is None."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([csv_cell(cell) if isinstance(cell, str) else cell for cell in line] for line in lines)
    return text.getvalue()


def bullets(texts: Iterable[str]) -> str:
    """A list, each of its items folded."""
    return "\n".join(folded(f"- {text}", indent="  ") for text in texts)


def width(text: str) -> int:
    """The columns of the widest line."""
    return max(map(len, text.splitlines()))


def folded(text: str, indent: str = "", first: str = "") -> str:
    """A paragraph in lines of at most `WIDTH` columns, all but the first indented, of which nothing is markup."""
    return wrapped(markdown(text), WIDTH, indent, first)


def wrapped(text: str, columns: int, indent: str = "", first: str = "") -> str:
    """A paragraph in lines of at most so many columns; words, and commands to be pasted, are never broken."""
    return fill(
        joined(text),
        columns,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    ).replace(_JOINT, " ")


def joined(text: str) -> str:
    """The text with each command in it as one word of the same width."""
    return COMMAND.sub(lambda found: found[0].replace(" ", _JOINT), text)
