"""The leaderboard as a whole: from a registry and a results directory to tables, printed or kept as files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.data.copies import on_copies
from gcnnbench.errors import UserError
from gcnnbench.leaderboard.board import Board
from gcnnbench.leaderboard.export import as_csv, as_json, pairs_as_csv
from gcnnbench.leaderboard.frame import boards, current_digests
from gcnnbench.leaderboard.reading import read_results
from gcnnbench.leaderboard.text import as_latex, as_markdown
from gcnnbench.leaderboard.weights_only import weights_only_rows
from gcnnbench.plain_files import read_plain

FormatName = Literal["md", "csv", "json", "tex"]
TABLES = "tables"
"""The folder below the results directory that holds the tables made from it."""


def leaderboard(registry: Registry, results: Path, names: Sequence[str] = ()) -> tuple[list[Board], list[str]]:
    """The boards of these benchmarks, or of all that have a record.

    Args:
        registry: holds the cards.
        results: the results directory.
        names: benchmarks by `name` or `name@version`; all where none is named.

    Returns:
        The boards in the order of the names, and what is wrong with files that cannot enter any table.

    Raises:
        UserError: there is no such benchmark, or none of them has an official record.
    """
    registry = on_copies(registry, results)
    cards = [registry.benchmark(name) for name in names] or list(registry.versions().values())
    found = read_results(results, registry.versions())
    trained_elsewhere, refused = weights_only_rows(registry, results, found.measurements)
    found.findings.extend(refused)
    made = boards(cards, registry.models, found, current_digests(registry, cards))
    made = [replace(board, weights_only=trained_elsewhere.get(board.benchmark, ())) for board in made]
    if not any(board.has_runs for board in made):
        raise UserError(_nothing(results, cards[0] if names else None, made, found.findings))
    return [board for board in made if names or board.has_records], found.findings


def render(boards: Sequence[Board], form: FormatName, *, wide: bool = False, top: int | None = None) -> str:
    """The tables of these boards in one format; the same boards give the same bytes."""
    match form:
        case "md":
            return as_markdown(boards, wide=wide, top=top)
        case "csv":
            return as_csv(boards)
        case "json":
            return as_json(boards)
        case "tex":
            return as_latex(boards, wide=wide)


def table_files(board: Board) -> dict[str, str]:
    """The files kept of one board, by name."""
    return {
        f"{board.benchmark}.md": as_markdown([board]),
        f"{board.benchmark}.csv": as_csv([board]),
        f"{board.benchmark}.pairs.csv": pairs_as_csv([board]),
        f"{board.benchmark}.json": as_json([board]),
        f"{board.benchmark}.tex": as_latex([board]),
    }


def stale_tables(registry: Registry, results: Path) -> list[str]:
    """Which tables kept below a results directory are not those its records make, in words.

    Every kept table is made again and compared byte by byte, so an edited cell is found like an outdated one.
    """
    kept = sorted((results / TABLES).glob("*@*.*"))
    if not kept:
        return []
    try:
        made = {name: text for board in leaderboard(registry, results)[0] for name, text in table_files(board).items()}
    except UserError:
        made = {}
    again = "make it again: gcnnbench leaderboard --write"
    findings = []
    for path in kept:
        if path.name not in made:
            findings.append(f"{TABLES}/{path.name}: there is no record from which it could be made; delete it")
        elif _content(path) != made[path.name].encode():
            findings.append(f"{TABLES}/{path.name}: not the table that the records make; {again}")
    return findings


def _content(path: Path) -> bytes | None:
    """What a kept table holds; null where it cannot be read."""
    try:
        return read_plain(path)
    except OSError:
        return None


def _nothing(results: Path, card: BenchmarkCard | None, made: Sequence[Board], findings: Sequence[str]) -> str:
    number = sum(len(found.seeds) for board in made for found in board.not_counted)
    also = f" ({number} there do not count: superseded, stale, unofficial or extra)" if number else ""
    broken = f"; {findings[0]}" if findings else ""
    how = card.how_to_run() if card else "gcnnbench run quickstart"
    made_by = how if card and card.superseded_by else f"make some: {how}"
    return f"{results}: no official record of this{also}{broken}; {made_by}"
