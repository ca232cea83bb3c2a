"""Reads JSON from disk or from elsewhere, strict and bounded, its mistakes told in one line; writes it for programs.

Beyond the grammar it refuses what readers disagree on or silently change: a key that stands twice, NaN and Infinity,
numbers that a float64 holds only as infinity or zero, integers of more than 18 digits, lone surrogates, a byte order
mark, and nesting deeper than `DEPTH`.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import asdict
from typing import Any, NoReturn, TypeVar

import pydantic_core
from pydantic import BaseModel, ValidationError

from gcnnbench.outside_text import as_line

DEPTH = 64
"""Lists and objects within one another; a record needs 8."""
DIGITS = 18
"""Of an integer; what has as many fits into 64 bits everywhere."""
FIRST = 3
"""How many mistakes of a document are told; the rest is counted."""

Form = TypeVar("Form", bound=BaseModel)

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(rb"[][{}]")


def parse_json(content: bytes) -> Any:
    """The plain data of a JSON document.

    Args:
        content: the document in UTF-8.

    Raises:
        ValueError: it is none, or one that readers would not all read alike; one line that says why.
    """
    _refuse_depth(content)
    try:
        text = content.decode("utf-8")
        pydantic_core.from_json(content, allow_inf_nan=False)  # refuses lone surrogates, which Python lets pass
        return json.loads(
            text, object_pairs_hook=_once, parse_constant=_constant, parse_float=_float, parse_int=_integer
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 at byte {error.start}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(as_line(str(error))) from None


def parse_model(content: bytes, form: type[Form]) -> Form:
    """A JSON document as what it is to be.

    Args:
        content: the document in UTF-8.
        form: what it is to be; its own configuration decides how strictly values are taken.

    Raises:
        ValueError: it is no JSON, or not of this form; one line that names each place and says what is wrong there.
    """
    parse_json(content)
    try:
        return form.model_validate_json(content)
    except ValidationError as error:
        raise ValueError(mistakes(error)) from None


def mistakes(error: ValidationError) -> str:
    """What a validation found, on one line: the first few places with what is wrong there, and how many more."""
    found = error.errors(include_url=False, include_input=False)
    told = [
        f"{as_line('.'.join(map(str, one['loc'])), 120) or 'the whole file'}: {as_line(one['msg'])}" for one in found
    ]
    more = [f"{len(told) - FIRST} more"] if len(told) > FIRST else []
    return "; ".join([*told[:FIRST], *more])


def _refuse_depth(content: bytes) -> None:
    """Count brackets outside strings, so that no parser recurses as deep as a hostile file asks for."""
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", content)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > DEPTH:
            raise ValueError(f"lists and objects nested deeper than {DEPTH}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"the key {as_line(key, 80)!r} stands twice")
        found[key] = value
    return found


def _constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _float(text: str) -> float:
    value = float(text)
    if math.isinf(value) or (value == 0 and re.search("[1-9]", re.split("[eE]", text)[0])):
        raise ValueError(f"the number {as_line(text, 40)} would be read as {value}")
    return value


def _integer(text: str) -> int:
    if len(text.lstrip("-")) > DIGITS:
        raise ValueError(f"an integer of {len(text.lstrip('-'))} digits; at most {DIGITS} are read alike everywhere")
    return int(text)


def json_document(document: Any) -> str:
    """A JSON document for programs, indented, with a new line at its end; instances of dataclasses become objects.

    Raises:
        ValueError: a number in it is not finite.
    """
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, default=asdict) + "\n"
