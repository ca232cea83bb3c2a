"""A comparison of two states of a leaderboard, for readers and for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from gcnnbench import formatting
from gcnnbench.compare.boards import Move, StateComparison
from gcnnbench.layout import folded, pipes


def states_as_json(found: StateComparison) -> str:
    """One JSON document; accuracies are fractions, pairs are before and after."""
    return json.dumps(asdict(found), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def states_as_markdown(found: StateComparison) -> str:
    """A table of the rows that are not what they were, and why."""
    parts = [f"## Leaderboard\n\nbefore: {found.first}\nafter:  {found.second}"]
    parts += ["\n".join(folded(f"- {note}", indent="  ") for note in found.notes)] if found.notes else []
    for benchmark in dict.fromkeys(move.benchmark for move in found.moves):
        moves = [move for move in found.moves if move.benchmark == benchmark]
        changed = [move for move in moves if move.what != "same"]
        same = len(moves) - len(changed)
        parts.append(f"### {benchmark}")
        parts += [_table(changed), _reasons(changed)] if changed else []
        parts += (
            [f"{same} {'row is' if same == 1 else 'rows are'} what {'it was' if same == 1 else 'they were'}."]
            if same
            else []
        )
    return "\n\n".join(parts) + "\n"


def _table(moves: Sequence[Move]) -> str:
    rows = [[move.entry, move.what, _rank(move), *_means(move)] for move in moves]
    return pipes((["entry", "", "rank", "before", "after", "points"], rows, "lllrrr"))


def _reasons(moves: Sequence[Move]) -> str:
    return "\n".join(folded(f"- {move.entry}: {'; '.join(move.why)}.", indent="  ") for move in moves)


def _rank(move: Move) -> str:
    before, after = (str(rank) if rank is not None else formatting.NOTHING for rank in move.ranks)
    return before if before == after else f"{before} → {after}"


def _means(move: Move) -> list[str]:
    before, after = move.means
    difference = formatting.points(after - before) if before is not None and after is not None else formatting.NOTHING
    return [*map(formatting.share, move.means), difference]
