"""Narrows a Markdown table: text is folded in its cells, and columns that still do not fit go into a table below.

Each table below begins with the columns that say which row it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from textwrap import wrap

CELL = re.compile(r"(?<!\\)\|")
Column = tuple[str, list[str]]
"""Its rule, as `---:`, and its cells, the heading first."""


def fit_table(lines: Sequence[str], width: int) -> str:
    """The lines of a table as they are where they fit, else laid out anew."""
    if max(map(len, lines)) <= width:
        return "\n".join(lines)
    rows = [[cell.strip() for cell in CELL.split(line.strip())[1:-1]] for line in lines]
    if len(rows) < 2 or len({len(row) for row in rows}) > 1 or not all(set(cell) <= set(":-") for cell in rows[1]):
        return "\n".join(lines)  # no table
    table = [(rule, [rows[0][place], *(row[place] for row in rows[2:])]) for place, rule in enumerate(rows[1])]
    return "\n\n".join(_written(part, width) for part in _parts(table, width))


def _parts(table: list[Column], width: int) -> list[list[Column]]:
    """The columns in tables that fit, each behind the columns by which rows are told apart."""
    keys = _keys(table)
    parts, part = [], table[:keys]
    for column in table[keys:]:
        if len(part) > keys and _taken([_narrowest(one) for one in [*part, column]]) > width:
            parts.append(part)
            part = table[:keys]
        part = [*part, column]
    return [*parts, part]


def _keys(table: list[Column]) -> int:
    """How many columns from the left tell the rows apart; one where all of them do not, or take a third of them."""
    named = [_filled(cells) for _, cells in table]
    for count in range(1, max(2, len(table) // 3 + 1)):
        if len(set(zip(*named[:count], strict=True))) == len(named[0]):
            return count
    return 1


def _filled(cells: Sequence[str]) -> list[str]:
    """The cells of a column, empty ones as the one above: so tables say that a name goes on."""
    found: list[str] = []
    for cell in cells:
        found.append(cell or (found[-1] if found else ""))
    return found


def _written(table: list[Column], width: int) -> str:
    widths = [max(2, *map(len, cells)) for _, cells in table]
    least = [_narrowest(column) for column in table]
    while _taken(widths) > width and any(now > low for now, low in zip(widths, least, strict=True)):
        spare = [now - low and now for now, low in zip(widths, least, strict=True)]
        widths[spare.index(max(spare))] -= 1
    while _taken(widths) > width and max(widths) > 2:  # no word may stay whole
        widths[widths.index(max(widths))] -= 1
    rule = [_ruled(column[0], wide) for column, wide in zip(table, widths, strict=True)]
    lines = []
    for number, row in enumerate(zip(*(cells for _, cells in table), strict=True)):
        folded = [wrap(cell, wide, break_on_hyphens=False) or [""] for cell, wide in zip(row, widths, strict=True)]
        for place in range(max(map(len, folded))):
            texts = [cell[place] if place < len(cell) else "" for cell in folded]
            lines.append(_line([_aligned(text, *one) for text, one in zip(texts, _sides(table, widths), strict=True)]))
        lines += [_line(rule)] if number == 0 else []
    return "\n".join(lines)


def _sides(table: list[Column], widths: list[int]) -> list[tuple[str, int]]:
    return [(rule, wide) for (rule, _), wide in zip(table, widths, strict=True)]


def _narrowest(column: Column) -> int:
    """How far a column can be folded: to its longest word; numbers, which stand to the right, stay in one piece."""
    rule, (heading, *cells) = column
    words = [word for cell in cells for word in ([cell] if rule.endswith(":") else cell.split())]
    return max([2, *map(len, [*words, *heading.split()])])


def _taken(widths: Sequence[int]) -> int:
    return sum(widths) + 3 * len(widths) + 1


def _ruled(rule: str, width: int) -> str:
    left, right = ":" * rule.startswith(":"), ":" * rule.endswith(":")
    return f"{left}{'-' * (width - len(left) - len(right))}{right}"


def _aligned(text: str, rule: str, width: int) -> str:
    return text.rjust(width) if rule.endswith(":") and not rule.startswith(":") else text.ljust(width)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
