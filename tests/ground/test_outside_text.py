"""Text from outside is one line, or some, in which every character shows."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from gcnnbench.outside_text import LINE, TEXT, as_line, as_text, unfit
from tests.fit_text import is_line, is_text

UNFIT = [
    "\x00", "\x07", "\x1b[31mred", "\x1b]8;;http://a\x07", "a\x85b", "a\u2028b", "a\u202eb", "a\u2066b", "\ufeff",
    "a\uffffb", "\ufffe", "\ufdd0", "\U0010ffff",
]  # fmt: skip


@pytest.mark.parametrize("text", ["", "Tesla T4", "Gerät №1, naïve — 100 %", "日本語", "می‌خواهم", "a|b<c>&\\input{x}"])
def test_plain_text_is_left_alone(text: str) -> None:
    assert is_line(text)
    assert as_line(text) == text
    assert as_text(text) == text


@pytest.mark.parametrize("text", UNFIT)
def test_what_does_not_show_is_refused_and_rewritten(text: str) -> None:
    assert unfit(text)
    assert not is_line(text)
    assert not is_text(text)
    for shown in (as_line(text), as_text(text)):
        assert unfit(shown, "\n\t") is None
    assert is_line(as_line(text))


def test_what_is_refused_is_named() -> None:
    assert unfit("a\x1b") == "U+001B, a control character"
    assert unfit("a\uffff") == "U+FFFF, a noncharacter"
    assert unfit("a\ud800") == "U+D800, a surrogate"
    assert unfit("a\u202e") == "U+202E, right-to-left override"


@pytest.mark.parametrize("text", UNFIT)
def test_what_is_shown_can_stand_in_xml(text: str) -> None:
    assert ElementTree.fromstring(f"<a>{as_line(text)}</a>").text == as_line(text)


def test_lines_and_lengths() -> None:
    assert not is_line("a\nb")
    assert is_text("a\n\tb")
    assert as_line(" a\r\n  b\t\u2028c ") == "a b c"
    assert as_line("\x1b[2Jgone") == "\\x1b[2Jgone"
    assert as_text("a\r\n\tb\x1b") == "a\\x0d\n\tb\\x1b"
    assert len(as_line("x" * 10_000)) == LINE
    assert as_line("x" * 10_000).endswith("…")
    assert len(as_text("x" * 100_000)) == TEXT
    assert as_text("a" * 100_000 + "end").endswith("end")
    assert is_line(as_line("\x1b" * 10_000))
    assert is_text(as_text("\x1b" * 100_000))
    assert as_line("\ud800") == "\\ud800"
