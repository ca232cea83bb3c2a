"""What stands behind each number of the leaderboard's page: records, counts, formula, digests, code, machine, command.

It is the data of `gcnnbench explain`, of all numbers at once: what many records share is named once and referred to
by its place in a list. What the frame holds is not said again: means, protocols and the digests of records, which
are in the same order there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.claims.rows import ClaimRow, about
from gcnnbench.explain.explanation import machine
from gcnnbench.explain.metric_counts import ELSEWHERE, tally
from gcnnbench.formatting import versions_text
from gcnnbench.leaderboard.board import Board, Row
from gcnnbench.leaderboard.records import StoredRecord
from gcnnbench.outside_text import as_text


def row_name(board: Board, row: Row) -> str:
    """The name of a row, as permalinks have it: `mnist-upright@1/p4cnn@28`; a number's is this, `/` and its metric."""
    entry = f"{row.entry}+{row.numeric_mode}" if board.in_several_modes(row.entry) else row.entry
    return f"{board.benchmark}/{entry}"


class Lineage:
    """Collects what stands behind the numbers of several boards."""

    def __init__(self) -> None:
        self._formulae: dict[str, int] = {}
        self._origins: dict[str, int] = {}
        self._verdicts: dict[str, int] = {}
        self._rows: dict[str, Any] = {}

    def document(self) -> dict[str, Any]:
        """The data as JSON has it: `rows` by `BENCHMARK/ENTRY`, with places in the lists."""
        return {
            "formulae": list(self._formulae),
            "origins": list(self._origins),
            "verdicts": list(self._verdicts),
            "rows": self._rows,
        }

    def add(self, board: Board, card: BenchmarkCard, kept: Sequence[StoredRecord], claims: Sequence[ClaimRow]) -> None:
        """Take in the numbers of a board.

        Args:
            board: the board.
            card: its benchmark, in the version of the board.
            kept: the records of the benchmark.
            claims: all claims, with their verdicts on this version.
        """
        by_digest = {one.sha256: one for one in kept}
        for row in board.rows:
            here = [by_digest[sha256] for sha256 in row.records if sha256 in by_digest]
            if here and len(here) == len(row.records):
                self._rows[row_name(board, row)] = self._row(row, card, here, claims)

    def _row(
        self, row: Row, card: BenchmarkCard, kept: Sequence[StoredRecord], claims: Sequence[ClaimRow]
    ) -> dict[str, Any]:
        first = kept[0].record
        return {
            "benchmark": card.short_name,
            "superseded": card.superseded_by is not None,
            "entry": row.entry,
            "numeric_mode": row.numeric_mode,
            "formulae": {
                name: _place(self._formulae, found) for name in row.metrics if (found := _formula(name, first, card))
            },
            "records": [self._record(one, card) for one in kept],
            "claims": {
                name: {claim: _place(self._verdicts, text) for claim, text in told.items()}
                for name in row.metrics
                if (told := _about(claims, card, row.entry, name))
            },
        }

    def _record(self, kept: StoredRecord, card: BenchmarkCard) -> dict[str, Any]:
        record = kept.record
        made = record.provenance
        state = " with changes that no commit holds" if made.dirty else ""
        origin = f"commit {made.commit or 'not known'}{state}; {machine(made)}; {versions_text(made.versions)}"
        counts = {name: tally(name, record.counts, card.evaluation.seen) for name in kept.run.metrics}
        return {
            "seed": record.seed,
            "path": kept.place.as_posix(),
            "weights": record.weights.sha256,
            "tested_epoch": record.training.tested_epoch,
            "origin": _place(self._origins, origin),
            "from": made.started,
            "to": made.finished,
            "counts": {name: [found.part, found.total] for name, found in counts.items() if found},
            "values": {name: kept.run.metrics[name] for name in counts if counts[name] is None},
        }


def _about(claims: Sequence[ClaimRow], card: BenchmarkCard, entry: str, metric: str) -> dict[str, str]:
    """The claims that a number speaks to, with their verdicts."""
    return {f"{row.source}/{row.id}": row.verdict_text for row in about(claims, card.full_name, entry, metric)}


def _formula(metric: str, record: Any, card: BenchmarkCard) -> str | None:
    found = tally(metric, record.counts, card.evaluation.seen)
    if found is None:
        return ELSEWHERE.get(metric)
    return f"{found.formula}, over {found.fields_text}"


def _place(known: dict[str, int], text: str) -> int:
    return known.setdefault(as_text(text), len(known))
