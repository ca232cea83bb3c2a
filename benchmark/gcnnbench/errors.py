"""The one exception for a user's mistake: the command line prints it without a traceback and exits with 2."""

from __future__ import annotations

from collections.abc import Callable


class UserError(Exception):
    """What is wrong, where, and what would be right; raised for anything that the user can mend.

    It goes from one process to another whole, whatever else its class is made of.
    """

    def __reduce__(self) -> tuple[Callable[..., UserError], tuple[object, ...]]:
        return _as_it_was, (type(self), self.args, self.__dict__)


def _as_it_was(kind: type[UserError], args: tuple[object, ...], attributes: dict[str, object]) -> UserError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(attributes)
    return error


class UnavailableError(UserError):
    """This machine lacks what is asked for, a data set's files or an installed package; elsewhere it may be there."""


class OtherCopyError(UnavailableError):
    """The data set is here in another copy than the one that was recorded."""


def told(error: BaseException) -> str:
    """What is told of an error without its traceback: of a file where there is one, and what was wrong with it."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    if isinstance(error, MemoryError):
        return f"there is not enough memory{f': {error}' if str(error) else ''}"
    return str(error) or type(error).__name__


def require_at_least(least: int, **values: int) -> None:
    """Refuse a number that is too small.

    Raises:
        UserError: one is below `least`; names it.
    """
    for name, value in values.items():
        if value < least:
            raise UserError(f"{name} (={value}) must be at least {least}")
