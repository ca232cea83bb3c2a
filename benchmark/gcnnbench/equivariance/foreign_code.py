"""What foreign code may raise where it cannot do what it is asked, and what such an error says."""

from __future__ import annotations

from gcnnbench.errors import UserError

REFUSALS = (Exception, SystemExit)
"""Its choice is its own."""


def said(error: BaseException) -> str:
    """What an error of foreign code says, in one line."""
    if isinstance(error, SystemExit):
        return f"it calls sys.exit({error.code if error.code is not None else ''})"
    first = (str(error).strip().splitlines() or ["without a word"])[0][:300]
    return first if isinstance(error, UserError) else f"{type(error).__name__}: {first}"
