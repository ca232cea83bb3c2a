"""Looks up in git when each claim's tolerance was last changed: one set after the records it judges proves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from gcnnbench.git import git_text
from gcnnbench.plain_files import read_plain


def tolerances_since(path: Path) -> dict[str, datetime]:
    """When the tolerance of each claim of a card was last changed, by git's history.

    Not committed changes count as made now. Empty where the history is not here: no git, no commit, a shallow clone.
    Texts, other claims and other tolerances of the card may change without consequence.

    Args:
        path: a claims card.

    Returns:
        Times by the claim's id; a statement's readings are named as in rows, `claim/reading`.
    """
    history = _history(path)
    if not history or git_text(path.parent, "rev-parse", "--is-shallow-repository") != "false\n":
        return {}
    current = _tolerances(read_plain(path).decode("utf-8"))
    since: dict[str, datetime] = {}
    unchanged = set(current)
    for commit, time, place in history:
        past = _tolerances(git_text(path.parent, "show", f"{commit}:{place}") or "")
        unchanged = {claim for claim in unchanged if past.get(claim) == current[claim]}
        since |= dict.fromkeys(unchanged, datetime.fromisoformat(time))
        if not unchanged:
            break
    return dict.fromkeys(current, datetime.now().astimezone()) | since


def _history(path: Path) -> list[tuple[str, str, str]]:
    """Commit, time and path within the repository of each version of a file, newest first, through renames."""
    log = git_text(path.parent, "log", "--follow", "--name-only", "--format=%x00%H %cI", "--", path.name) or ""
    entries = [entry.split() for entry in log.split("\0") if entry]
    return [(commit, time, place) for commit, time, place in entries]


def _tolerances(text: str) -> dict[str, Any]:
    """All that a claim's tolerance is made of, by the id of its row; empty where the text is no card."""
    try:
        card = yaml.safe_load(text)
        named: Mapping[str, Any] = card["tolerances"]
        return {row: _parts(named[name], claim) for claim in card["claims"] for row, name in _names(claim).items()}
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return {}


def _parts(tolerance: Mapping[str, Any], claim: Mapping[str, Any]) -> tuple[Any, ...]:
    """Points and deviations, and where deviations count, the published spread that they are multiplied by."""
    if not tolerance.get("deviations"):
        return (tolerance["points"],)
    return tolerance["points"], tolerance["deviations"], claim.get("spread"), claim.get("deviation")


def _names(claim: Mapping[str, Any]) -> dict[str, str]:
    """The name of the tolerance by the id of the row: one for a number or curve, one for each reading that has one."""
    if "tolerance" in claim:
        return {claim["id"]: claim["tolerance"]}
    readings = claim.get("readings", ())
    return {
        f"{claim['id']}/{reading['name']}": reading["test"]["tolerance"]
        for reading in readings
        if "tolerance" in reading["test"]
    }
