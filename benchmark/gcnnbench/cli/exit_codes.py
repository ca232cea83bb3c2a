"""The exit codes of the command line, beside 0: what each says to a script."""

from __future__ import annotations

CHECK_FAILED = 1
"""Something that was to be checked is wrong, as a card before `validate`, or not there, as a record before `verify`."""
MISTAKE = 2
"""The work could not be done: wrong usage, a user's mistake as a wrong card that is used, or a machine that fails."""
SOME_CELLS_FAILED = 3
"""Cells failed or were stopped; the others were run. Of a forecast: cells would fail."""
INTERRUPTED = 130
"""The user interrupted it."""
