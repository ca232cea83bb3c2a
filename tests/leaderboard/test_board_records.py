"""Which records are behind a table: those of the protocol, of the data copy that the results directory names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.compare.entries import compare
from gcnnbench.data.copies import on_copies, record_copy
from gcnnbench.explain.lineage import explain
from gcnnbench.figures.networks import networks
from gcnnbench.leaderboard.reading import read_results
from gcnnbench.leaderboard.records import counted, stored_records
from gcnnbench.runs.spec import spec

if TYPE_CHECKING:
    from tests.toy_records import Toy

ENTRIES = ("p4cnn@28", "z2cnn@28")


@pytest.fixture
def on_a_copy(toy: Toy, tmp_path: Path) -> Registry:
    """A benchmark on a data set whose card knows no digest; the results directory names the copy of its records."""
    split = {"train": {"part": "train", "images": 10}, "test": {"part": "test"}, "shuffle": "seed"}
    card = toy.card(dataset="rotmnist", entries=list(ENTRIES), split=split)
    registry = replace(toy.registry(card), benchmarks={**Registry.load().benchmarks, "toy": card})
    record_copy(tmp_path, "rotmnist", {"train": "1" * 64, "test": "2" * 64})
    for entry in ENTRIES:
        protocol = spec(on_copies(registry, tmp_path), card, entry)
        for seed in range(2):
            made = toy.record(entry, seed, 0.9, spec=protocol)
            toy.write(tmp_path, made)
    return registry


def test_records_of_the_named_copy_count_everywhere(on_a_copy: Registry, tmp_path: Path) -> None:
    card = on_a_copy.benchmark("toy")
    kept = stored_records(on_a_copy, tmp_path, card)
    assert {entry: [one.run.seed for one in found] for entry, found in counted(kept).items()} == {
        "p4cnn@28": [0, 1],
        "z2cnn@28": [0, 1],
    }
    assert [len(network.records) for network in networks(on_a_copy, tmp_path, card)] == [2, 2]
    assert compare(on_a_copy, tmp_path, "toy/p4cnn@28", "toy/z2cnn@28").metrics[0].first.n == 2
    found = explain(on_a_copy, tmp_path, "toy", "p4cnn@28")
    assert found.spec_is_current
    assert found.data == {"train": "1" * 64, "test": "2" * 64}


def test_records_of_another_copy_do_not(on_a_copy: Registry, tmp_path: Path) -> None:
    record_copy(tmp_path, "rotmnist", {"train": "1" * 64, "test": "3" * 64})
    kept = stored_records(on_a_copy, tmp_path, on_a_copy.benchmark("toy"))
    assert {one.excluded for one in kept} == {"stale"}
    assert counted(kept) == {}


def test_a_record_of_another_numeric_mode_than_its_protocol_is_named_and_not_counted(toy: Toy, tmp_path: Path) -> None:
    card = toy.card(entries=["p4cnn@28"])
    registry = toy.registry(card)
    for seed, mode in enumerate(("fp32", "tf32")):
        protocol = spec(registry, card, "p4cnn@28")
        toy.write(tmp_path, toy.record(seed=seed, spec=protocol, numeric_mode=mode))
    assert [one.run.seed for one in counted(stored_records(registry, tmp_path, card))["p4cnn@28"]] == [0]
    told = read_results(tmp_path, {card.full_name: card}).findings
    assert told == [
        "toy@2/p4cnn@28/seed-1.json: contradicts itself: provenance.numeric_mode: tf32, but the protocol has fp32"
    ]


def test_only_the_files_of_the_benchmark_are_read(
    on_a_copy: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page draws dozens of figures, each of one benchmark."""
    own = on_a_copy.benchmark("toy").full_name
    other = tmp_path / own.replace("toy", "toy-turned") / "p4cnn@28" / "seed-0.json"
    other.parent.mkdir(parents=True)
    other.write_bytes((tmp_path / own / "p4cnn@28" / "seed-0.json").read_bytes())
    read: list[Path] = []

    def reading(path: Path) -> bytes:
        read.append(path)
        return path.read_bytes()

    monkeypatch.setattr("gcnnbench.runs.files.read_plain", reading)
    assert len(stored_records(on_a_copy, tmp_path, on_a_copy.benchmark("toy"))) == 4
    assert len(read) == 4
    assert other not in read
