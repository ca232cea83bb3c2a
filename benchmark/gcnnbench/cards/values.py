"""Types of single values that records, manifests, reports and cards share: finite, signed, in a range, and fit to show.

Bounds are far beyond anything real and exist so that no value can overflow a sum, a square or a table.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints

from gcnnbench.outside_text import LINE, TEXT, unfit

Natural = Annotated[int, Field(ge=0, le=10**15)]
"""How many there are of something; exact in a float64, too."""
Positive = Annotated[int, Field(ge=1, le=10**15)]
FullName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*@[1-9][0-9]*$", max_length=80)]
"""`name@version` of a benchmark."""
LARGEST_SEED = 10**9
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Finite = Annotated[float, Field(ge=-1e100, le=1e100, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, le=1e100, allow_inf_nan=False)]
"""A loss, an error, a deviation."""
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
"""An accuracy, a share of images."""
Seconds = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
"""A duration of at most thirty years."""
Rate = Annotated[float, Field(gt=0, le=1e12, allow_inf_nan=False)]
"""Images a second."""


def _line(text: str) -> str:
    if found := unfit(text):
        raise ValueError(f"one line of plain text is wanted; it holds {found}")
    return text


def _text(text: str) -> str:
    if found := unfit(text, "\n\t"):
        raise ValueError(f"plain text is wanted; it holds {found}")
    return text


def _time(text: str) -> str:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.utcoffset() != timedelta(0):
        raise ValueError("a time in UTC is wanted, as 2026-11-23T12:52:10+00:00 is")
    return text


def _plain_data(data: dict[str, Any]) -> dict[str, Any]:
    """Plain JSON data, all of whose texts are lines that can be shown."""
    left: list[Any] = [data]
    while left:
        match left.pop():
            case dict() as found:
                left += [*found.keys(), *found.values()]
            case list() as found:
                left += found
            case str() as text if len(text) > LINE:
                raise ValueError(f"a text of at most {LINE} characters is wanted; one has {len(text)}")
            case str() as text:
                _line(text)
            case float() as number if not math.isfinite(number):
                raise ValueError(f"finite numbers are wanted; one is {number}")
    return data


OutsideLine = Annotated[str, StringConstraints(max_length=LINE), AfterValidator(_line)]
"""One line that somebody else wrote."""
OutsideText = Annotated[str, StringConstraints(max_length=TEXT), AfterValidator(_text)]
"""Some lines that somebody else wrote."""
Time = Annotated[str, StringConstraints(max_length=40), AfterValidator(_time)]
"""A moment in UTC in ISO 8601."""
PlainData = Annotated[dict[str, Any], AfterValidator(_plain_data)]
"""Any JSON object of finite numbers and texts that can be shown, as a spec is."""
