"""Whether a text can be shown as it is, for tests of what the suite says of others' texts."""

from __future__ import annotations

from gcnnbench.outside_text import LINE, TEXT, unfit


def is_line(text: str) -> bool:
    """Whether it is one line, of at most `LINE` characters."""
    return len(text) <= LINE and unfit(text) is None


def is_text(text: str) -> bool:
    """Whether it has at most `TEXT` characters; it may have several lines and tabs."""
    return len(text) <= TEXT and unfit(text, "\n\t") is None
