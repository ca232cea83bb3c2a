"""What only shows between records: a version of a benchmark is no other cell, and another protocol fills no gap."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.record_checks.across_records import Cells
from gcnnbench.record_checks.recomputing import verify_records
from gcnnbench.record_checks.rows import RecordRow
from gcnnbench.runs.record import Record
from gcnnbench.runs.spec import spec, spec_digest, training_digests
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


def changed(spec: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """A spec with another value under a path of keys."""
    made: dict[str, Any] = json.loads(json.dumps(spec))
    *way, last = path.split(".")
    here = made
    for key in way:
        here = here[key]
    here[last] = value
    return made


def relabelled(path: str, value: Any) -> tuple[Record, Record]:
    """A record, and its copy under an earlier version whose spec has another value there."""
    now = Toy.record(ENTRY, 0)
    return now, now.model_copy(update={"benchmark": "toy@1", "spec": changed(now.spec, path, value)})


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.all", "e" * 64),
        ("classes", 3),
        ("split.train.images", 9),
        ("split.validation", {"part": "all", "images": 5}),
        ("split.shuffle", "fixed"),
        ("split.folds", 5),
        ("input.mean", [0.5]),
        ("recipe.augmentation", {"flip": True}),
        ("hyperparameters.planes", 9),
        ("model_version", 2),
        ("numerics_version", 2),
        ("numeric_mode_version", 2),
        ("data", None),
        ("split", ["no", "shares"]),
    ],
)
def test_versions_that_train_otherwise_share_nothing(path: str, value: Any) -> None:
    """A record relabelled as one of another protocol has all that it needs but training of its own."""
    assert [one.partition(":")[0] for one in findings(*relabelled(path, value))] == ["weights", "counts"] * 2


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("data.test", "e" * 64),
        ("split.test", {"part": "test", "images": 7}),
        ("evaluation.curve.step", 30),
        ("evaluation.auc", True),
        ("metric_versions", {"auc": 2}),
    ],
)
def test_versions_that_only_test_otherwise_share_a_cell(path: str, value: Any) -> None:
    assert findings(*relabelled(path, value)) == []


def test_registered_versions_train_as_their_cards_say() -> None:
    """`mnist-upright` was only worded anew; `mnist-uniform` fills the corners of turned images otherwise."""
    registry = Registry.load()

    def training(name: str, version: int) -> tuple[str, str]:
        return training_digests(spec(registry, registry.versions()[f"{name}@{version}"], "z2cnn@28"))

    assert training("mnist-upright", 1) == training("mnist-upright", 2)
    (first, network), (second, same) = training("mnist-uniform", 1), training("mnist-uniform", 2)
    assert (first != second, network == same) == (True, True)


def test_an_average_shares_no_weights_with_another_protocol() -> None:
    """Other counts under another entry are those of an average only where both are trained alike."""
    network, averaged = Toy.record("p4cnn@28", 0, 0.9, 0.7), Toy.record("p4cnn@27", 0, 0.8, 0.8)
    assert findings(network, averaged) == []
    otherwise = changed(averaged.spec, "recipe.augmentation", {"flip": True})
    assert len(findings(network, averaged.model_copy(update={"benchmark": "toy@1", "spec": otherwise}))) == 2


@pytest.mark.parametrize("change", [{"seed": 1}, {"entry": "p4cnn@27"}, {"benchmark": "other@2"}])
def test_a_copy_is_found_in_another_version_too(change: dict[str, Any]) -> None:
    now = Toy.record(ENTRY, 0)
    assert len(findings(now, now.model_copy(update={"benchmark": "toy@1", **change}))) >= 2


def test_seeds_of_another_protocol_fill_no_gap() -> None:
    """Else the seeds of a new protocol could be picked, as long as the records of the old one are kept."""
    cells = Cells({("toy@2", ENTRY): NEW})
    for seed, digest in enumerate((OLD, OLD, NEW)):
        cells.add(f"toy@2/{ENTRY}/seed-{seed}.json", "seed", Toy.record(ENTRY, seed, spec_digest=digest))
    ((place, told),) = cells.gaps({})
    assert (place, told.partition(";")[0]) == (
        f"toy@2/{ENTRY}",
        "seeds 0–1 missing below others and not failed: seeds are all run, none is picked",
    )
    cells = Cells({("toy@2", ENTRY): NEW})
    for seed, digest in enumerate((NEW, NEW, OLD)):
        cells.add(f"toy@2/{ENTRY}/seed-{seed}.json", "seed", Toy.record(ENTRY, seed, spec_digest=digest))
    assert list(cells.gaps({})) == []
    assert list(cells.to_come({"toy@2": 3})) == [(f"toy@2/{ENTRY}/seed-1.json", ("2 of 3 seeds: seed 2 not run yet",))]


@pytest.mark.parametrize(
    ("card", "how"),
    [
        (Toy.card(), f"; gcnnbench run toy --entry {ENTRY} --seeds 0,2"),
        (Toy.card(superseded_by=3, model_versions={"p4cnn": 1}), "; it is superseded by version 3 and no longer run"),
        (Toy.card(version=3), ""),
    ],
    ids=["current", "superseded", "unknown"],
)
def test_a_gap_is_told_with_what_fills_it(card: BenchmarkCard, how: str) -> None:
    """Of a superseded version nothing does: the command of its name runs the current one."""
    cells = Cells({})
    for seed in (1, 3):
        cells.add(f"toy@2/{ENTRY}/seed-{seed}.json", "seed", Toy.record(ENTRY, seed))
    ((_, told),) = cells.gaps({card.full_name: card})
    assert told == f"seeds 0, 2 missing below others and not failed: seeds are all run, none is picked{how}"


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
