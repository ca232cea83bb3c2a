"""One escape for each format of tables, pages, figures and terminals; each takes any text and shows all of it.

Writers call it for every cell, heading, caption and note, so that no text from a card, a record or an exception is ever
markup. All of them first make the text one line of characters that show (`gcnnbench.outside_text.as_line`).
"""

from __future__ import annotations

import re

from gcnnbench.outside_text import as_line, as_text

MOST = 5_000
"""Characters of a cell or note; what is longer is cut."""

_MARKDOWN = re.compile(r"[\\|]|(?<=\])[(\[:]|<(?=[A-Za-z/!?])|&(?=#?\w+;)")
_REFERENCES = {"<": "&lt;", "&": "&amp;"}
"""Instead of a backslash, which Python-Markdown, and so MkDocs, does not take before these."""
_SYMBOLS = {"±": "$\\pm$", "−": "$-$", "–": "--", "≥": "$\\geq$", "≤": "$\\leq$", "°": "$^\\circ$", "×": "$\\times$"}
_LATEX = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\ensuremath{<}",
    ">": "\\ensuremath{>}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
    **_SYMBOLS,
}


def markdown(text: str) -> str:
    """Text in Markdown, also in a cell of a table: no tag, link, image or further column comes of it.

    Only what would start one of these is escaped, as tables are read on terminals, too: `[−0.10, +0.20]`, `<0.01` and
    `device_name` stay as they are.
    """
    return _MARKDOWN.sub(lambda found: _REFERENCES.get(found[0], f"\\{found[0]}"), as_line(text, MOST))


def latex(text: str) -> str:
    """Text in LaTeX, letter by letter, so that nothing is escaped twice and no command is left."""
    return "".join(_LATEX.get(letter, letter) for letter in as_line(text, MOST))


def latex_comment(text: str) -> str:
    """A comment of LaTeX, which ends with its line."""
    return f"% {as_line(text, MOST)}"


def csv_cell(text: str) -> str:
    """Text in a cell of CSV: a leading `=`, `+`, `-` or `@` is no formula for a spreadsheet."""
    line = as_line(text, MOST)
    return f"'{line}" if line[:1] in {"=", "+", "-", "@"} else line


def mathtext(text: str) -> str:
    """Text in a figure of matplotlib, which would read what stands between two dollars as a formula."""
    return as_line(text, MOST).replace("$", "\\$")


def terminal(text: str) -> str:
    """Text of some lines on a terminal: no escape sequence, carriage return or turned writing is left."""
    return as_text(text, 100 * MOST)
