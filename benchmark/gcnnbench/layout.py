"""Tables and paragraphs of Markdown that fit a terminal; every text that comes in is escaped here, once."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill

from gcnnbench.escaping import markdown

WIDTH = 100
"""Columns that text for readers fits into."""

Table = tuple[list[str], list[list[str]], str]
"""Headings, rows of cells, and the alignment of the first columns, `l` or `r`; further ones are left."""


def pipes(table: Table, *, roomy: bool = False) -> str:
    """A Markdown table, no wider than its cells.

    Args:
        table: headings, rows and alignment.
        roomy: headings have two columns more, and the rule names no alignment: the form of pages.
    """
    headings, alignment = [markdown(text) for text in table[0]], table[2].ljust(len(table[0]), "l")
    rows = [[markdown(text) for text in row] for row in table[1]]
    least = [len(text) + 2 if roomy else 2 for text in headings]
    widths = [max(*map(len, column), room) for room, *column in zip(least, headings, *rows, strict=True)]

    def line(texts: Sequence[str]) -> str:
        padded = zip(texts, widths, alignment, strict=True)
        return f"| {' | '.join(text.ljust(n) if side == 'l' else text.rjust(n) for text, n, side in padded)} |"

    sides = zip(widths, alignment, strict=True)
    rule = line([f":{'-' * (n - 1)}" if side == "l" else f"{'-' * (n - 1)}:" for n, side in sides])
    if roomy:
        rule = f"|{'|'.join('-' * (n + 2) for n in widths)}|"
    return "\n".join([line(headings), rule, *map(line, rows)])


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
