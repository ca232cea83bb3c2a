"""Text from outside: what a stranger, a device driver or an exception wrote, made fit to be kept and shown.

What is read back is checked (`unfit`; the types stand in `gcnnbench.cards.values`), what the suite itself takes down of
others is rewritten (`as_line`, `as_text`). Neither lets through what changes more than it shows: control
characters and escape sequences, line and paragraph separators, marks that turn the direction of writing around, and
other invisible format characters; nor what cannot be encoded, or is no character in Unicode and so none in XML. How a
line is escaped in a table is the matter of its writer: `gcnnbench.escaping`.
"""

from __future__ import annotations

import unicodedata

LINE = 500
"""Characters of a line that are kept."""
TEXT = 20_000
"""Characters of a text of several lines that are kept."""

_REFUSED = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_LAST_OF_PLANES = (plane + last for plane in range(0, 0x110000, 0x10000) for last in (0xFFFE, 0xFFFF))
_NONCHARACTERS = frozenset(map(chr, (*range(0xFDD0, 0xFDF0), *_LAST_OF_PLANES)))
"""Code points that will never be characters; the others of their category, Cn, may be in a later Unicode."""
_NAMELESS = {"Cc": "a control character", "Cn": "a noncharacter", "Cs": "a surrogate"}
_JOINERS = "\u200c\u200d"
"""Invisible, but letters of several scripts join or part by them."""


def unfit(text: str, allowed: str = "") -> str | None:
    """The first character of a text that must not be in it, in words; null where all are fit.

    Args:
        text: the text.
        allowed: characters that are fit all the same, as `"\\n"`.
    """
    if text.isprintable():
        return None
    for letter in text:
        category = unicodedata.category(letter)
        refused = category in _REFUSED or letter in _NONCHARACTERS
        if refused and letter not in _JOINERS and letter not in allowed:
            return f"U+{ord(letter):04X}, {unicodedata.name(letter, _NAMELESS.get(category, '')).lower()}"
    return None


def as_line(text: str, most: int = LINE) -> str:
    """A text as one line that can be shown: blanks of all kinds as one space, unfit characters as `\\x1b`, and cut.

    Args:
        text: anything.
        most: characters that are kept; one that is cut ends in `…`.
    """
    line = " ".join(_fit(text[: 4 * most], "").split())
    return line if len(line) <= most and len(text) <= 4 * most else f"{line[: most - 1]}…"


def as_text(text: str, most: int = TEXT) -> str:
    """A text of several lines that can be shown: unfit characters as `\\x1b`; where it is too long its end is kept.

    Args:
        text: anything, as a traceback, whose end says most.
        most: characters that are kept; one that is cut begins with `…`.
    """
    whole = _fit(text[-most:], "\n\t")
    return whole if len(whole) <= most and len(text) <= most else f"…{whole[-most + 1 :]}"


def _fit(text: str, allowed: str) -> str:
    if unfit(text, allowed) is None:
        return text
    return "".join(letter if letter.isspace() and not allowed else _shown(letter, allowed) for letter in text)


def _shown(letter: str, allowed: str) -> str:
    if unfit(letter, allowed) is None:
        return letter
    return f"\\x{ord(letter):02x}" if ord(letter) < 256 else f"\\u{ord(letter):04x}"
