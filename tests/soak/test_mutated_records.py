"""A record that was changed is refused with a reason, or says what it said; tables are made of the others."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.leaderboard.frame import boards
from gcnnbench.leaderboard.reading import Results, read_results
from gcnnbench.leaderboard.tables import render
from gcnnbench.record_checks.recomputing import verify_records
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_cell
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.store import Store
from tests.fit_text import is_text
from tests.soak.damage import damages, rewritten


@pytest.fixture(scope="module")
def results(tiny_registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("results")
    for seed in range(2):
        cell = Cell(tiny_registry, "tiny", "z2cnn@8", seed, "cpu", 1, Path("unused"))
        *_, last = run_cell(cell)
        assert isinstance(last, Finished)
        Store(folder).add(cell, last)
    return folder


def test_no_changed_record_is_used_silently(
    results: Path, tiny_registry: Registry, whole: bool, draws: random.Random, counted: Counter[str]
) -> None:
    card = tiny_registry.benchmark("tiny")
    path = results / "tiny@1" / "z2cnn@8" / "seed-0.json"
    kept = path.read_bytes()
    cell = Cell(tiny_registry, "tiny", "z2cnn@8", 0, "cpu", 1, Path("unused"))
    expected = {(card.full_name, entry): replace(cell, entry=entry).digest for entry in card.entries}

    def read() -> Results:
        found = read_results(results, {card.full_name: card})
        (made,) = boards([card], tiny_registry.models, found, expected)
        for form in ("md", "csv", "json", "tex"):
            text = render([made], form)
            assert is_text(text) or form == "json"
            if form == "json":
                json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} in a table"))
        return found

    whole_run = next(run for run in read().runs if run.seed == 0)
    changes = [(kind, damaged) for kind, damaged in damages(kept, draws, 400 if whole else 30)]
    changes += [(what, text.encode("utf-8")) for what, text in rewritten(kept.decode(), draws, 400 if whole else 30)]
    for what, changed in changes:
        path.write_bytes(changed)
        found = read()
        counted["changed records"] += 1
        used = [run for run in found.runs if run.seed == 0]
        if used:
            counted["read as they were"] += 1
            assert asdict(replace(used[0], sha256="")) == asdict(replace(whole_run, sha256="")), (
                f"{what}: used silently"
            )
        else:
            counted["refused with a reason"] += 1
            assert len(found.findings) == 1, what
            assert len(found.findings[0]) < 2_000
            assert is_text(found.findings[0])
        assert [run.seed for run in found.runs if run.seed != 0] == [1], "the other record counts all the same"
    path.write_bytes(kept)
    assert counted["refused with a reason"] > 0.9 * counted["changed records"]


def test_what_tables_refuse_verify_refuses(
    results: Path, tiny_registry: Registry, draws: random.Random, whole: bool, counted: Counter[str]
) -> None:
    path = results / "tiny@1" / "z2cnn@8" / "seed-1.json"
    kept = path.read_bytes()
    for what, text in rewritten(kept.decode(), draws, 60 if whole else 8):
        path.write_text(text, "utf-8")
        rows = {row.id: row for row in verify_records(tiny_registry, results)}
        counted["changed records"] += 1
        counted["refused"] += rows["tiny@1/z2cnn@8/seed-1.json"].grade == "refused"
        assert rows["tiny@1/z2cnn@8/seed-1.json"].findings, what
    path.write_bytes(kept)
