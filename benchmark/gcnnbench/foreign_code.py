"""What foreign code, an entry's too, may raise where it cannot do what it is asked, and what such an error says."""

from __future__ import annotations

import signal
from traceback import walk_tb
from types import FunctionType

from gcnnbench.errors import UserError
from gcnnbench.outside_text import as_line

REFUSALS = (Exception, SystemExit, GeneratorExit)
"""Its choice is its own; the user's interrupt is not among them."""

WITHIN_GENERATORS = (Exception, SystemExit)
"""The same where a generator runs it: one that is closed is told so by GeneratorExit."""


def raise_if_told_to_end(error: BaseException) -> None:
    """Raise an error again that a signal's handler raised: the process was told to end, as Ray tells its workers.

    Whatever runs in it at that moment is not what failed.
    """
    handlers = (signal.getsignal(one) for one in signal.valid_signals())
    codes = [handler.__code__ for handler in handlers if isinstance(handler, FunctionType)]
    if any(frame.f_code in codes for frame, _ in walk_tb(error.__traceback__)):
        raise error


def said(error: BaseException) -> str:
    """What an error of foreign code says, in one line that can be shown."""
    if isinstance(error, SystemExit):
        return f"it calls sys.exit({'' if error.code is None else _first_line(error.code)})"
    first = _first_line(error) or "without a word"
    return first if isinstance(error, UserError) else f"{type(error).__name__}: {first}"


def said_and_where(error: BaseException) -> str:
    """The same, with the file and the line in which it was raised; a user's mistake says by itself where it is."""
    if isinstance(error, UserError):
        return said(error)
    *_, (frame, line) = walk_tb(error.__traceback__)
    return f"{said(error)} ({frame.f_code.co_filename}, line {line})"


def _first_line(words: object) -> str:
    try:
        text = str(words)
    except REFUSALS:  # they are foreign code, too
        return ""
    return as_line(next(iter(text.strip().splitlines()), ""), 300)
