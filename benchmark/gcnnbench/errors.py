"""The one exception for a user's mistake: the command line prints it without a traceback and exits with 2."""

from __future__ import annotations


class UserError(Exception):
    """What is wrong, where, and what would be right; raised for anything that the user can mend."""
