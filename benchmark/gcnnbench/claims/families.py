"""Families of tests: which p-values are adjusted together (Holm 1979), and the primary verdicts that hang on it.

The tests of equality of one source and benchmark are a family: its numbers and curves, each quantity once (a repeat
of one is no further test, a number of parameters is none). The primary rows of a source are a family of their own. A
row that is not comparable says nothing of its claim and is in no family: it would only make the others' p larger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gcnnbench.claims.rows import ClaimRow
from gcnnbench.statistics import ALPHA, holm


def with_families(rows: Sequence[ClaimRow]) -> list[ClaimRow]:
    """The rows of one source with their family and their p adjusted over it.

    A primary statement is reproduced only if its adjusted p is below the level, too.
    """
    named = [replace(row, family=_family(row)) for row in rows]
    members = {name: [row for row in named if row.family == name] for name in {row.family for row in named} - {""}}
    adjusted = {name: holm({row.id: row.judgement.p for row in here}) for name, here in members.items()}
    return [_decided(replace(row, p_family=adjusted[row.family][row.id])) if row.family else row for row in named]


def _family(row: ClaimRow) -> str:
    if row.verdict == "not comparable":
        return ""
    if row.primary:
        return f"primary of {row.source}"
    if row.statement or row.counted in ("count", "repeat") or row.benchmark is None:
        return ""
    return f"{row.source} in {row.benchmark}"


def _decided(row: ClaimRow) -> ClaimRow:
    """A primary statement that its own test alone would call reproduced."""
    if row.primary and row.verdict == "reproduced" and row.p_family is not None and row.p_family >= ALPHA:
        return replace(row, judgement=replace(row.judgement, verdict="inconclusive"))
    return row
