"""What the options of `audit` may say, and how sizes, arguments, groups and outputs are read from them."""

from __future__ import annotations

import ast
import re
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from gcnnbench.errors import UserError

if TYPE_CHECKING:
    from gcnnbench.nn.fields import Field
    from gcnnbench.nn.groups import ActingGroup


class AuditFormat(StrEnum):
    """How an audit is printed."""

    md = "md"
    json = "json"
    csv = "csv"


class GroupName(StrEnum):
    """Under which group a network can be judged."""

    p2 = "p2"
    pm = "pm"
    p4 = "p4"
    p4m = "p4m"
    shifts = "shifts"
    shifts_p4 = "shifts-p4"


class StencilName(StrEnum):
    """How slopes on pixels are taken."""

    central = "central"
    bilinear = "bilinear"


class OutputKind(StrEnum):
    """How the output transforms."""

    logits = "logits"
    scalar = "scalar"
    regular = "regular"


def parse_sizes(text: str) -> tuple[int, ...]:
    """The sizes in `24-40`, `32,33` or `8,24-40`, in order.

    Raises:
        UserError: the text has another form, or a range runs backwards.
    """
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([1-9]\d{0,3})(?:\s*-\s*([1-9]\d{0,3}))?\s*", part)
        if match is None:
            raise UserError(f"sizes (={text!r}) must be numbers to 9999 and ranges, as in 24-40 or 32,33")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise UserError(f"sizes (={text!r}): {first}-{last} runs backwards; write {last}-{first}")
        found.extend(range(first, last + 1))
    return tuple(dict.fromkeys(found))


def parse_arguments(texts: list[str]) -> dict[str, Any]:
    """The values of `KEY=VALUE`: Python's literals as such, all else as text.

    Raises:
        UserError: one has another form.
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise UserError(f"--arg (={text!r}) must be KEY=VALUE, as in widen_factor=2")
        try:
            found[key] = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):  # as literal_eval says
            found[key] = value
    return found


def acting_group(name: GroupName | None) -> ActingGroup | None:
    """The group of that name; none where none is asked for."""
    from gcnnbench.nn.groups import group

    return None if name is None else group(name.value)


def output_field(output: OutputKind, group: ActingGroup) -> Field | None:
    """How an output of that kind transforms; none for invariant logits."""
    from gcnnbench.nn.fields import ScalarField, feature_field

    if output is OutputKind.logits:
        return None
    return ScalarField() if output is OutputKind.scalar else feature_field(group.point)
