"""What probes read is made again from the weights of a record, and a changed reading is refused by its name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.record_checks.conditions import Conditions
from gcnnbench.record_checks.grading import Grading
from gcnnbench.record_checks.recomputing import verify_records
from gcnnbench.record_checks.rows import RecordRow
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_cell
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.record import Record, sealed
from gcnnbench.runs.store import Store

TINY = Path(__file__).parents[1] / "runs" / "tiny.yaml"
ENTRY = "relaxed-p4cnn@9"


@pytest.fixture(scope="module")
def registry() -> Registry:
    """The tiny benchmark, which reads all probes from a relaxed network."""
    registry = Registry.load([TINY])
    tiny = registry.benchmark("tiny")
    evaluation = tiny.evaluation.model_copy(update={"probes": ("degree", "alignment", "subspace")})
    card = tiny.model_copy(update={"entries": (ENTRY,), "seeds": 1, "evaluation": evaluation})
    return replace(registry, benchmarks={**registry.benchmarks, "tiny": card})


@pytest.fixture(scope="module")
def made(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Cell, Record]:
    folder = tmp_path_factory.mktemp("probed")
    cell = Cell(registry, "tiny", ENTRY, 0, "cpu", 1, folder / "data")
    *_, finished = run_cell(cell)
    assert isinstance(finished, Finished)
    Store(folder / "results").add(cell, finished)
    return folder / "results", cell, finished.record


def verified(registry: Registry, results: Path) -> RecordRow:
    (row,) = verify_records(
        registry, results, None, Grading(registry, results, results, Conditions.upright, None, None, lambda _: None)
    )
    return row


def leaves(reading: Any, where: str = "") -> Iterator[tuple[str, list[str | int], float]]:
    """Every number of a reading, with its name in messages and the way to it."""
    inside = reading.items() if isinstance(reading, dict) else enumerate(reading)
    for key, value in inside:
        name = f"{where}[{key}]" if isinstance(key, int) else f"{where}.{key}" if where else key
        if isinstance(value, (dict, list)):
            yield from ((full, [key, *path], number) for full, path, number in leaves(value, name))
        else:
            yield name, [key], value


def changed(record: Record, path: list[str | int], value: Any) -> Record:
    data = json.loads(record.model_dump_json())
    here = data["probes"]
    for key in path[:-1]:
        here = here[key]
    here[path[-1]] = value
    return sealed(Record.model_validate_json(json.dumps(data)))


def test_honest_readings_are_made_again(registry: Registry, made: tuple[Path, Cell, Record]) -> None:
    row = verified(registry, made[0])
    assert (row.grade, row.findings) == ("re-scored", ())
    assert "probes (degree, alignment, subspace)" in row.checked


@pytest.mark.parametrize(
    "start",
    [
        "degree.conv1.mixing",
        "degree.conv7.outside",
        "alignment.relu3.correlation",
        "alignment.relu7.law",
        "subspace.conv2.outside",
        "subspace.conv7.matched",
    ],
)
def test_a_changed_reading_is_refused_by_its_name(
    registry: Registry, made: tuple[Path, Cell, Record], start: str
) -> None:
    results, cell, record = made
    name, path, value = next(leaf for leaf in leaves(record.probes) if leaf[0].startswith(start))
    place = Store(results).record_path(cell)
    honest = place.read_text("utf-8")
    try:
        place.write_text(changed(record, path, value + 1e-3).model_dump_json(), "utf-8")
        row = verified(registry, results)
    finally:
        place.write_text(honest, "utf-8")
    assert row.grade == "refused"
    (finding,) = row.findings
    assert finding.startswith(f"probes.{name}: {value + 1e-3}, but the stored weights give {value}"[:60])


def test_readings_that_nothing_asks_for_and_ones_that_lack_are_refused(
    registry: Registry, made: tuple[Path, Cell, Record]
) -> None:
    results, cell, record = made
    place = Store(results).record_path(cell)
    honest = place.read_text("utf-8")
    assert record.probes is not None
    try:
        for probes in (None, {name: record.probes[name] for name in ("degree", "subspace")}):
            place.write_text(sealed(record.model_copy(update={"probes": probes})).model_dump_json(), "utf-8")
            (finding,) = verified(registry, results).findings
            assert finding.startswith("probes: ")
    finally:
        place.write_text(honest, "utf-8")
