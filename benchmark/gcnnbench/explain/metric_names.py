"""Finds a metric by the name that a user gives it; imports no torch, so that a typo is answered at once."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.cards.messages import choice
from gcnnbench.errors import UserError
from gcnnbench.scoring.metrics import METRIC_VERSIONS


def metric_named(given: str, elements: Sequence[str]) -> str:
    """The full name of a metric that a user names with or without `accuracy.`, with blanks or underscores.

    Args:
        given: as in `accuracy.orbit`, `orbit` or `curve mean`.
        elements: names of the elements of the group that acts, each of which has an accuracy.

    Raises:
        UserError: there is none of that name.
    """
    known = [f"accuracy.{element}" for element in elements]
    known += [name for name in METRIC_VERSIONS if name != "accuracy.element"]
    plain = given.strip().replace(" ", "_")
    for name in (plain, f"accuracy.{plain}"):
        if name in known:
            return name
    raise UserError(
        f"there is no metric '{given}'; {choice(given, [name.removeprefix('accuracy.') for name in known])}"
    )
