"""What only shows between records: a version of a benchmark is no other cell, and another protocol fills no gap."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gcnnbench.record_checks.across_records import Cells
from gcnnbench.record_checks.recomputing import verify_records
from gcnnbench.record_checks.rows import RecordRow
from gcnnbench.runs.record import Record
from gcnnbench.runs.spec import spec_digest
from tests.toy_records import Toy

if TYPE_CHECKING:
    from tests.toy_results import Study

ENTRY = "p4cnn@28"
OLD, NEW = "a" * 64, "b" * 64


def findings(*records: Record) -> list[str]:
    cells, rows = Cells({}), []
    for record in records:
        place = f"{record.benchmark}/{record.entry}/seed-{record.seed}.json"
        cells.add(place, "seed", record)
        rows.append(RecordRow(place, "recomputed"))
    return [one for row in cells.compared(rows, {}) for one in row.findings]


@pytest.mark.parametrize("evaluation", ["the same", "another"])
def test_versions_that_train_alike_share_a_cell(evaluation: str) -> None:
    """A later version whose streams and recipe are the same gives the same weights, and perhaps the same counts."""
    now = Toy.record(ENTRY, 0)
    counts = now.counts if evaluation == "the same" else Toy.record(ENTRY, 0, 0.8, 0.6).counts
    assert findings(now, now.model_copy(update={"benchmark": "toy@1", "counts": counts})) == []


@pytest.mark.parametrize("change", [{"seed": 1}, {"entry": "p4cnn@27"}, {"benchmark": "other@2"}])
def test_a_copy_is_found_in_another_version_too(change: dict[str, Any]) -> None:
    now = Toy.record(ENTRY, 0)
    assert len(findings(now, now.model_copy(update={"benchmark": "toy@1", **change}))) >= 2


def test_seeds_of_another_protocol_fill_no_gap() -> None:
    """Else the seeds of a new protocol could be picked, as long as the records of the old one are kept."""
    cells = Cells({("toy@2", ENTRY): NEW})
    for seed, digest in enumerate((OLD, OLD, NEW)):
        cells.add(f"toy@2/{ENTRY}/seed-{seed}.json", "seed", Toy.record(ENTRY, seed, spec_digest=digest))
    ((place, told),) = cells.gaps()
    assert (place, told.partition(";")[0]) == (
        f"toy@2/{ENTRY}",
        "seeds 0–1 missing below others and not failed: seeds are all run, none is picked",
    )
    cells = Cells({("toy@2", ENTRY): NEW})
    for seed, digest in enumerate((NEW, NEW, OLD)):
        cells.add(f"toy@2/{ENTRY}/seed-{seed}.json", "seed", Toy.record(ENTRY, seed, spec_digest=digest))
    assert list(cells.gaps()) == []
    assert list(cells.to_come({"toy@2": 3})) == [(f"toy@2/{ENTRY}/seed-1.json", ("2 of 3 seeds: seed 2 not run yet",))]


@pytest.mark.parametrize("of", ["this protocol", "another"])
def test_a_failure_under_another_protocol_excuses_no_missing_seed(study: Study, of: str) -> None:
    record = study.record(ENTRY, 1, 0.9, 0.9)
    for suffix in (".json", ".safetensors"):
        study.path(seed=1).with_suffix(suffix).unlink()
    digest = record.spec_digest if of == "this protocol" else spec_digest(record.spec | {"classes": 7})
    failure = {
        "schema_version": 1,
        "benchmark": "toy@2",
        "entry": ENTRY,
        "seed": 1,
        "spec_digest": digest,
        "reason": "the loss is NaN",
        "phase": "training",
        "epoch": 1,
        "at": "2026-01-01T00:00:00Z",
    }
    study.path(seed=1).with_suffix(".failed.json").write_text(json.dumps(failure), "utf-8")
    study.write_tables()
    refused = [row.id for row in verify_records(study.registry, study.results) if row.grade == "refused"]
    assert refused == ([] if of == "this protocol" else [f"toy@2/{ENTRY}"])
