"""Boards as data: JSON for programs, CSV for spreadsheets. Accuracies are fractions, numbers are numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from gcnnbench.layout import csv_text
from gcnnbench.leaderboard.board import Board, Contrast, Pair, Row, Speed
from gcnnbench.leaderboard.folds import pooled
from gcnnbench.statistics import Summary
from gcnnbench.strict_json import json_document


def as_json(boards: Sequence[Board]) -> str:
    """One JSON document: a list with the data of each board (`board_data`)."""
    return json_document([board_data(board) for board in boards])


def board_data(board: Board) -> dict[str, Any]:
    """One board as plain lists and dictionaries."""
    return {
        "benchmark": board.benchmark,
        "title": board.title,
        "rank_by": board.rank_by,
        "protocol_seeds": board.protocol_seeds,
        "rows": [_row(row) for row in board.rows],
        "pairs": [_pair(pair) for pair in board.pairs],
        "not_counted": [
            {"benchmark": one.benchmark, "entry": one.entry, "why": one.why, "seeds": list(one.seeds)}
            for one in board.not_counted
        ],
        "findings": list(board.findings),
        **({"weights_only": [asdict(row) for row in board.weights_only]} if board.weights_only else {}),
    }


def as_csv(boards: Sequence[Board]) -> str:
    """One line a row of each leaderboard; a metric NAME fills the columns NAME, NAME.std, NAME.low and NAME.high."""
    names = list(dict.fromkeys(name for board in boards for row in board.rows for name in row.metrics))
    header = ["benchmark", "rank", "tied", "entry", "group", "equivariance", "numeric_mode", "n", "missing"]
    header += [column for name in names for column in (name, f"{name}.std", f"{name}.low", f"{name}.high")]
    header += ["test_images", "test_set_error", "parameters", "macs", "test_images_per_second", "devices"]
    return csv_text(header, (_csv_row(board, row, names) for board in boards for row in board.rows))


def pairs_as_csv(boards: Sequence[Board]) -> str:
    """One line a pair and metric: exact − approximate, with its 95% interval, p, and p adjusted by Holm."""
    header = ["benchmark", "architecture", "exact", "approximate", "metric", "n_exact", "n_approximate"]
    header += ["difference", "low", "high", "p", "p_holm"]
    lines = (_csv_pair(board, pair, found) for board in boards for pair in board.pairs for found in pair.contrasts)
    return csv_text(header, lines)


def _csv_row(board: Board, row: Row, names: Sequence[str]) -> list[Any]:
    missing = "; ".join(f"{lack.seed}: {lack.why}" for lack in row.missing)
    cells: list[Any] = [board.benchmark, row.rank, row.tied if row.rank else None, row.entry, row.group]
    cells += [row.equivariance, row.numeric_mode, len(row.seeds), missing]
    for name in names:
        found = row.metrics.get(name)
        cells += [found.mean, found.std, *(found.ci95 or (None, None))] if found else [None] * 4
    # Times of several machines share no number: the column is empty then, and the JSON form has them one by one.
    speed = row.speeds[0].test_images_per_second.mean if len(row.speeds) == 1 else None
    devices = "; ".join(f"{at.machine.device}: {at.machine.name}, {at.machine.threads} threads" for at in row.speeds)
    return [*cells, row.test_images, row.test_set_error, row.parameters, row.macs, speed, devices]


def _csv_pair(board: Board, pair: Pair, found: Contrast) -> list[Any]:
    cells: list[Any] = [board.benchmark, pair.architecture, pair.exact, pair.approximate]
    cells += [found.metric, found.exact.n, found.approximate.n]
    return [*cells, found.difference, *(found.ci95 or (None, None)), found.p, found.p_holm]


def _row(row: Row) -> dict[str, Any]:
    return {
        "entry": row.entry,
        "rank": row.rank,
        "tied_with_row_above": row.tied,
        "group": row.group,
        "equivariance": row.equivariance,
        "numeric_mode": row.numeric_mode,
        "seeds": list(row.seeds),
        "missing": [{"seed": lack.seed, "why": lack.why} for lack in row.missing],
        "metrics": {name: _summary(found) for name, found in row.metrics.items()},
        "test_images": row.test_images,
        "test_set_error": row.test_set_error,
        "parameters": row.parameters,
        "macs": row.macs,
        **({"measured": {grade: list(seeds) for grade, seeds in row.measured.items()}} if row.measured else {}),
        "speeds": [_speed(speed) for speed in row.speeds],
        "spec_digest": row.spec_digest,
        "records": list(row.records),
        **({"folds": _folds(row)} if row.folds else {}),
    }


def _folds(row: Row) -> dict[str, Any]:
    each = [
        {"seed": fold.seed, "fold": fold.fold, "images": fold.images, "metrics": dict(fold.metrics)}
        for fold in row.folds
    ]
    names = [name for name in row.metrics if name.startswith("accuracy.") or name == "auc"]
    return {"each": each, "pooled": {name: pooled(row.folds, name) for name in names}}


def _summary(found: Summary | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {"n": found.n, "mean": found.mean, "std": found.std, "ci95": list(found.ci95) if found.ci95 else None}


def _speed(speed: Speed) -> dict[str, Any]:
    return {
        "device": speed.machine.device,
        "device_name": speed.machine.name,
        "threads": speed.machine.threads,
        "train_images_per_second": _summary(speed.train_images_per_second),
        "test_images_per_second": _summary(speed.test_images_per_second),
        "train_seconds": _summary(speed.train_seconds),
        "test_seconds": _summary(speed.test_seconds),
        "peak_memory_bytes": speed.peak_memory_bytes,
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "architecture": pair.architecture,
        "exact": pair.exact,
        "approximate": pair.approximate,
        "metrics": {found.metric: _contrast(found) for found in pair.contrasts},
        "why_empty": pair.why_empty,
    }


def _contrast(found: Contrast) -> dict[str, Any]:
    return {
        "n": [found.exact.n, found.approximate.n],
        "difference": found.difference,
        "ci95": list(found.ci95) if found.ci95 else None,
        "p": found.p,
        "p_holm": found.p_holm,
    }
