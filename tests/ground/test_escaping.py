"""No text is markup in any format, and what is none is left as readers know it."""

from __future__ import annotations

import csv
import io
import re

import pytest
from matplotlib.cbook import is_math_text

from gcnnbench.escaping import csv_cell, latex, latex_comment, markdown, mathtext, terminal

HOSTILE = [
    "a\n\\input{/etc/passwd}",
    "a\r\n% \\end{table}\\write18{rm}",
    "<script>alert(1)</script>",
    "<!-- x -->",
    "![x](http://example.org/a.png)",
    "[x][y]",
    "[y]: http://example.org",
    "a | b \\| c \\",
    "\x1b[2J\x1b]0;title\x07",
    "\u202etxt.exe",
    "=HYPERLINK(1)",
    "a\u2028b\x85c",
    "$\\no$ &lt; \\$",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_is_markup(text: str) -> None:
    for escape in (markdown, latex, latex_comment, csv_cell, mathtext):
        assert len(escape(text).splitlines()) == 1
    shown = re.sub(r"\\[\\|(\[:]", "", markdown(text))
    assert not re.search(r"\||<[a-zA-Z/!]|\]\(|\]\[|\]:", shown)
    assert not re.search(r"\\(?!textbackslash|ensuremath|textascii|[&%$#_{}])", latex(text))
    assert next(csv.reader(io.StringIO(csv_cell(text))))[0][:1] not in {"=", "+", "-", "@"}
    assert "\x1b" not in terminal(text)
    assert "\r" not in terminal(text)


@pytest.mark.parametrize(
    "text", ["[−0.10, +0.20]", "<0.01", ">99.99", "97.69 ± 0.17", "p4cnn@28", "`=` after", "a_b*c"]
)
def test_what_readers_know_stays(text: str) -> None:
    assert markdown(text) == text
    assert terminal(text) == text


def test_latex_shows_what_was_written() -> None:
    assert latex("50% of a_b ± 0.1 <0.01 \\x") == ("50\\% of a\\_b $\\pm$ 0.1 \\ensuremath{<}0.01 \\textbackslash{}x")
    assert latex_comment("a\nb") == "% a b"


def test_markdown_shows_what_was_written() -> None:
    assert markdown("<b> &lt; &#60; R&D a|b \\") == "&lt;b> &amp;lt; &amp;#60; R&D a\\|b \\\\"


@pytest.mark.parametrize("text", ["$\\no$", "a\\$b$\\", "$$", "5 $"])
def test_a_figure_shows_what_was_written(text: str) -> None:
    assert not is_math_text(mathtext(text))
    assert mathtext(text).replace("\\$", "$") == text  # as matplotlib writes what is no formula
