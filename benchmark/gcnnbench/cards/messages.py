"""Words for pydantic's validation errors of a card: the value, the rule, the nearest right answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from gcnnbench.cards.base import FORMS

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
HYPERPARAMETER = "a hyper-parameter is true or false, a number, text, or a list of whole numbers"


def phrase(error: ErrorDetails) -> str:
    """One validation error in words."""
    kind, value, context = error["type"], error["input"], error.get("ctx", {})
    if kind == "missing":
        return "missing; this key is needed here"
    if kind in _KINDS:
        return f"{shown(value)} must be {_KINDS[kind]}{_right_kind(kind, value)}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"{shown(value)} must be {words} {context[name]}"
    if kind == "literal_error":
        return f"{shown(value)} is unknown here; {choice(value, _names(context['expected']))}"
    if kind == "union_tag_invalid":
        return f"{shown(context['tag'])} is unknown here; {choice(context['tag'], _names(context['expected_tags']))}"
    if kind == "union_tag_not_found":
        return "missing; this key says which kind is meant"
    if kind == "string_pattern_mismatch":
        return f"{shown(value)} must be {FORMS.get(context['pattern'], 'of the form ' + context['pattern'])}"
    if kind == "too_short":
        return "empty; name at least one"
    if kind == "string_too_short":
        return "empty; write some text, or leave the key out where it may be left out"
    if kind == "string_too_long":
        return f"{len(str(value))} characters; write at most {context['max_length']}"
    return error["msg"]


def unknown_key(key: str, allowed: Iterable[str]) -> str:
    """What to say of a key that a mapping does not have."""
    names = list(allowed)
    return f"unknown key; {choice(key, names)}" if names else "unknown key; take it out"


def choice(given: object, allowed: Iterable[str]) -> str:
    """`did you mean X?` where one of the allowed names is near, and else all of them."""
    names = list(allowed)
    if (near := nearest(given, names)) is not None:
        return f"did you mean {near}?"
    return f"write {names[0]}" if len(names) == 1 else f"one of {', '.join(names)}"


def nearest(given: object, allowed: Iterable[str]) -> str | None:
    """The name that was meant: the only one that begins so, or the one most like it; null where none is near."""
    names = list(allowed)
    begun = [name for name in names if given and name.startswith(str(given))]
    near = begun if len(begun) == 1 else get_close_matches(str(given)[:100], names, n=1, cutoff=0.6)
    return near[0] if near else None


def shown(value: object) -> str:
    """A value as a card would write it, shortened."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    text = repr(value)
    return text if len(text) <= 50 else f"{text[:46]}…{text[-1]}"


def _right_kind(kind: str, value: Any) -> str:
    """The value in the right kind, where one is at hand."""
    if kind == "string_type" and isinstance(value, int | float | bool):
        return f"; quote it: '{str(value).lower()}'"
    if kind == "tuple_type" and isinstance(value, str | int | float) and not isinstance(value, bool):
        return f"; write [{value}]" if len(str(value)) < 30 else "; put a '- ' before it"
    if kind in ("int_type", "int_from_float", "float_type", "bool_type") and isinstance(value, str):
        number = (
            r"-?[0-9]+" if kind.startswith("int") else r"-?[0-9]+(\.[0-9]+)?" if kind == "float_type" else "true|false"
        )
        return f"; write {value} without quotes" if re.fullmatch(number, value) else ""
    if kind in ("int_type", "int_from_float") and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}"
    return ""


def _names(tags: str) -> list[str]:
    return re.findall(r"'([^']*)'", tags)
