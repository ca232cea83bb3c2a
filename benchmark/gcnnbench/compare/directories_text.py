"""A comparison of two results directories, for readers and for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import groupby

from gcnnbench.compare.directories import CellPair, Change, SetComparison
from gcnnbench.compare.entries_text import CAPTION, tables
from gcnnbench.formatting import listed
from gcnnbench.layout import folded, pipes

MEANINGS = folded(
    "Same file: byte for byte. Same numbers: all but times and provenance is equal to the bit. Other numbers: the "
    "parts that differ are named."
)


def sets_as_json(found: SetComparison) -> str:
    """One JSON document; differences are fractions."""
    return json.dumps(asdict(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def sets_as_markdown(found: SetComparison) -> str:
    """The cells of both directories, what differs around them, and the differences of those that are not the same."""
    parts = [
        f"## Records, first − second\n\nfirst:  {found.first}\nsecond: {found.second}",
        _cells(found.cells),
        MEANINGS,
    ]
    parts += _changed("Protocol", "the protocols are the same", found.protocol)
    parts += _changed("Code, machine and versions", "code, machine and versions are the same", found.surroundings)
    if found.comparisons:
        parts += ["### Differences over the common seeds", CAPTION]
        parts += [text for comparison in found.comparisons for text in tables(comparison)]
    if found.unreadable:
        parts.append("\n".join(folded(f"- not compared: {finding}", indent="  ") for finding in found.unreadable))
    return "\n\n".join(parts) + "\n"


def _cells(pairs: Sequence[CellPair]) -> str:
    rows = []
    for (benchmark, entry), group in groupby(pairs, key=lambda pair: (pair.benchmark, pair.entry)):
        told = list(_told(list(group)))
        rows += [[f"{benchmark} {entry}" if place == 0 else "", *row] for place, row in enumerate(told)]
    return pipes((["cell", "seeds", "numbers", "differing in"], rows, ""))


def _told(pairs: Sequence[CellPair]) -> Iterator[list[str]]:
    """The seeds of an entry by what there is to say of them."""
    by_state: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for pair in pairs:
        by_state.setdefault((pair.state, pair.differs), []).append(pair.seed)
    for (state, differs), seeds in by_state.items():
        yield [listed(tuple(seeds)).partition(" ")[2], state, ", ".join(differs)]


def _changed(title: str, same: str, changes: Sequence[Change]) -> Iterator[str]:
    if not changes:
        yield f"In the common cells {same}."
        return
    lines = (f"- {change.field}: {change.first} → {change.second} ({_count(change.cells)})" for change in changes)
    yield f"### {title}"
    yield "\n".join(folded(line, indent="  ") for line in lines)


def _count(cells: int) -> str:
    return "1 cell" if cells == 1 else f"{cells} cells"
