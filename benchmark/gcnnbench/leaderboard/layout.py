"""Tables and paragraphs of Markdown that fit a terminal; every text that comes in is escaped here, once."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from gcnnbench.escaping import markdown

WIDTH = 100
"""Columns that text for readers fits into."""

Table = tuple[list[str], list[list[str]], str]
"""Headings, rows of cells, and the alignment of each column, `l` or `r`."""


def pipes(table: Table) -> str:
    """A Markdown table no wider than its cells; `tabulate` would add two columns to every heading."""
    headings, alignment = [markdown(text) for text in table[0]], table[2]
    rows = [[markdown(text) for text in row] for row in table[1]]
    widths = [max(2, *map(len, column)) for column in zip(headings, *rows, strict=True)]

    def line(texts: Sequence[str]) -> str:
        padded = zip(texts, widths, alignment, strict=True)
        return f"| {' | '.join(text.ljust(n) if side == 'l' else text.rjust(n) for text, n, side in padded)} |"

    sides = zip(widths, alignment, strict=True)
    rule = [f":{'-' * (n - 1)}" if side == "l" else f"{'-' * (n - 1)}:" for n, side in sides]
    return "\n".join(map(line, [headings, rule, *rows]))


def width(text: str) -> int:
    """The columns of the widest line."""
    return max(map(len, text.splitlines()))


def folded(text: str, indent: str = "", first: str = "") -> str:
    """A paragraph in lines of at most `WIDTH` columns, all but the first indented; words are never broken."""
    return fill(
        markdown(text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
