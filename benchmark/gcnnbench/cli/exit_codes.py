"""The exit codes of the command line, beside 0: what each says to a script."""

from __future__ import annotations

CHECK_FAILED = 1
"""Something that was checked is wrong."""
MISTAKE = 2
"""Wrong usage, a wrong card, a user's mistake, or a machine that does not do what was asked of it."""
SOME_CELLS_FAILED = 3
"""Cells failed or were stopped; the others were run."""
INTERRUPTED = 130
"""The user interrupted it."""
