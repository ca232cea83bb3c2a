"""Parses unquoted YAML scalars; refuses forms that readers of YAML disagree on, and suggests the unambiguous one."""

from __future__ import annotations

import math
import re

from gcnnbench.outside_text import as_line

Scalar = None | bool | int | float | str

_INTEGER = re.compile(r"0|-?[1-9][0-9]*")
_REAL = re.compile(r"-?(0|[1-9][0-9]*)\.[0-9]+(e[-+][0-9]+)?")
_NUMBER_LIKE = re.compile(r"[-+]?(\.[0-9]|[0-9])[0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?")
_BASED = re.compile(r"[-+]?0(?P<base>[xob])(?P<digits>[0-9a-f_]+)", re.IGNORECASE)
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
_CLOCK = re.compile(r"[-+]?[0-9][0-9_]*(:[0-5]?[0-9])+(\.[0-9_]*)?")
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}([Tt ].*)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|nan)", re.IGNORECASE)
ECHO = 80
"""Characters of a card that a message repeats."""
_BASES = {"x": 16, "o": 8, "b": 2}
_TRUE, _FALSE = ("true", "yes", "on", "y"), ("false", "no", "off", "n")
_WORDS = frozenset({"null", *_TRUE, *_FALSE})
"""All that starts with a letter and is more than text to some reader of YAML."""
_CONSTANTS: dict[str, Scalar] = {"null": None, "true": True, "false": False}
_DIGITS = 18


class GuessError(ValueError):
    """A plain scalar that YAML readers understand differently, or not as it looks."""


def plain(text: str) -> Scalar:
    """The value of an unquoted scalar.

    Only `null`, `true`, `false`, canonical integers (`0`, `-12`) and canonical floats (`0.5`, `1.0e-3`) are more
    than text. These are the forms on which YAML 1.1, YAML 1.2 and JSON agree.

    Raises:
        GuessError: the scalar has a form that some reader of YAML takes for something else than text.
    """
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        if len(text.lstrip("-")) > _DIGITS:
            raise GuessError(f"a number of {len(text.lstrip('-'))} digits; write at most {_DIGITS}")
        return int(text)
    if _REAL.fullmatch(text):
        value = float(text)
        if not math.isfinite(value):
            raise GuessError(f"{as_line(text, ECHO)} is too large for a float; write a finite number")
        if value == 0 and re.search("[1-9]", text.partition("e")[0]):
            raise GuessError(
                f"{as_line(text, ECHO)} is too small for a float, which would hold 0.0; write 0.0 or a larger number"
            )
        return value
    word = text.lower()
    if not text[:1].isalpha() or word in _WORDS:
        _refuse_guesses(text, word, as_line(text, ECHO))
    return text


def _refuse_guesses(text: str, word: str, shown: str) -> None:
    """Raise for everything that only looks like text."""
    if text == "":
        raise GuessError("no value stands here; write one, or null, or leave the key out")
    if text == "~" or word == "null":
        raise GuessError(f"{shown} is YAML's guess at nothing; write null, or quote it: '{shown}'")
    if word in _TRUE or word in _FALSE:
        right = "true" if word in _TRUE else "false"
        raise GuessError(f"{shown} is a truth value to some readers, text to others; write {right}, or '{shown}'")
    if _NOT_FINITE.fullmatch(text):
        raise GuessError(f"{shown} is no finite number; write one, or quote it: '{shown}'")
    if _DATE.fullmatch(text):
        raise GuessError(f"{shown} is a date to some readers; quote it: '{shown}'")
    if _CLOCK.fullmatch(text):
        raise GuessError(f"{shown} is a number to base 60 to some readers; quote it: '{shown}', or write the number")
    if text in ("=", "<<"):
        raise GuessError(f"{shown} has a meaning of its own in YAML; quote it: '{shown}'")
    number = _right_number(text)
    if number is not None:
        raise GuessError(f"{shown} is a number to some readers, text to others; write {number}, or quote it: '{shown}'")


def _right_number(text: str) -> str | None:
    """The canonical form of something that looks like a number, None where it does not."""
    digits = text.replace("_", "")
    sign = "-" if text.startswith("-") else ""
    if based := _BASED.fullmatch(text):
        try:
            return _short(int(f"{sign}{based['digits'].replace('_', '')}", _BASES[based["base"].lower()]))
        except ValueError:
            return None
    if _OCTAL.fullmatch(text):
        if len(digits) > _DIGITS:
            return "a shorter number"
        return f"{int(digits)} (or {int(digits, 8)}, which is what YAML 1.1 reads)"
    if not _NUMBER_LIKE.fullmatch(text):
        return None
    if re.fullmatch(r"[-+]?[0-9]+", digits):
        return _short(int(digits)) if len(digits) < 4000 else "a shorter number"
    return canonical_float(float(digits))


def _short(value: int) -> str:
    return str(value) if abs(value) < 10**_DIGITS else "a shorter number"


def canonical_float(value: float) -> str:
    """A float in the one form that every reader of YAML takes for a float, such as `0.5` or `1.0e-05`."""
    if not math.isfinite(value):
        return "a finite number"
    mantissa, e, exponent = repr(value).partition("e")
    if not e:
        return mantissa
    return f"{mantissa if '.' in mantissa else mantissa + '.0'}e{'' if exponent[0] in '+-' else '+'}{exponent}"
