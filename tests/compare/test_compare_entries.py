"""Two entries compared: Welch, pairs of seeds, McNemar and the bootstrap, with every gap named."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from gcnnbench.cards.registry import Registry
from gcnnbench.compare.entries import Comparison, compare
from gcnnbench.compare.text import comparison_as_markdown
from gcnnbench.errors import UserError
from gcnnbench.runs.spec import spec
from gcnnbench.statistics import detectable, mcnemar, paired, summary, welch
from gcnnbench.strict_json import json_document

if TYPE_CHECKING:
    from tests.toy_records import Toy

LABELS = np.arange(1000) % 2
RIGHT = {"p4cnn@28": ([900, 905, 910], 0), "p4cnn@27": ([950, 940, 945], 40)}
"""Upright hits of each seed, and how many images from the start an entry gets wrong first."""


def outputs(hits: int, offset: int, labels: NDArray[np.int64] = LABELS) -> bytes:
    right = np.zeros(1000, dtype=bool)
    right[offset : offset + hits] = True
    right[: max(0, offset + hits - 1000)] = True
    predicted = np.where(right, labels, 1 - labels)
    logits = np.eye(2, dtype=np.float32)[predicted]
    return save({"logits": np.stack([logits] * 4), "labels": labels, "angle_classes": np.zeros((4, 1000), np.int16)})


@pytest.fixture
def kept(toy: Toy, tmp_path: Path) -> tuple[Registry, Path]:
    card = toy.card(entries=list(RIGHT))
    registry = toy.registry(card)
    (tmp_path / "outputs").mkdir()
    for entry, (hits, offset) in RIGHT.items():
        for seed, right in enumerate(hits):
            content = outputs(right, offset)
            sha256 = hashlib.sha256(content).hexdigest()
            (tmp_path / "outputs" / f"{sha256}.safetensors").write_bytes(content)
            kept = {"sha256": sha256, "bytes": len(content)}
            toy.write(tmp_path, toy.record(entry, seed, right / 1000, spec=spec(registry, card, entry), outputs=kept))
    return registry, tmp_path


def compared(kept: tuple[Registry, Path]) -> Comparison:
    return compare(*kept, "toy/p4cnn@28", "toy@2/p4cnn@27")


def test_across_seeds_and_within_them(kept: tuple[Registry, Path]) -> None:
    found = compared(kept)
    upright = next(metric for metric in found.metrics if metric.metric == "accuracy.upright")
    one, two = summary([0.9, 0.905, 0.91]), summary([0.95, 0.94, 0.945])
    assert upright.welch == welch(one, two)
    assert upright.detectable == detectable(welch(one, two))
    assert upright.paired == paired([0.9 - 0.95, 0.905 - 0.94, 0.91 - 0.945])
    assert "invariance_error" not in {metric.metric for metric in found.metrics}
    assert found.gaps == ()


def test_cross_tested_entries_are_compared_by_fold(toy: Toy, tmp_path: Path) -> None:
    split = {"train": {"part": "all"}, "test": {"part": "all"}, "shuffle": "seed", "folds": 3}
    card = toy.card(entries=list(RIGHT), split=split)
    registry = toy.registry(card)
    for entry, ahead in (("p4cnn@28", 0.0), ("p4cnn@27", 0.02)):
        for seed in range(3):
            accuracy = 0.5 + seed / 10 + ahead * (1 + seed / 10)
            toy.write(tmp_path, toy.record(entry, seed, accuracy, spec=spec(registry, card, entry)))
    found = compared((registry, tmp_path))
    upright = next(metric for metric in found.metrics if metric.metric == "accuracy.upright")
    assert upright.paired is not None
    assert (upright.welch.separates, upright.paired.separates) == (False, True)
    assert upright.detectable == detectable(upright.paired)
    text = " ".join(comparison_as_markdown(found).split())
    assert "| 95% (by fold) |" in text
    assert "Welch" not in text
    assert "−2.20 | [−2.70, −1.70] |" in text

    for seed in (0, 1):
        (tmp_path / f"toy@2/p4cnn@28/seed-{seed}.json").unlink()
    (tmp_path / "toy@2/p4cnn@27/seed-2.json").unlink()
    apart = compared((registry, tmp_path))
    assert all((metric.paired, metric.detectable) == (None, None) for metric in apart.metrics)
    assert "| – | – | – | – |" in " ".join(comparison_as_markdown(apart).split())


def test_seeds_that_ran_on_different_devices_are_told(kept: tuple[Registry, Path]) -> None:
    path = kept[1] / "toy@2/p4cnn@28/seed-1.json"
    data = json.loads(path.read_text("utf-8"))
    data["provenance"]["device"] = "cuda"
    path.write_text(json.dumps(data), "utf-8")
    (told,) = compared(kept).gaps
    assert told.startswith("seed 1 ran on different kinds of device: dropout draws other masks")


def test_image_by_image(kept: tuple[Registry, Path]) -> None:
    found = compared(kept)
    assert [(image.seed, image.first_only, image.second_only) for image in found.images] == [
        (0, 40, 90),
        (1, 40, 75),
        (2, 40, 75),
    ]
    assert found.images[0].p == mcnemar(40, 90)
    assert found.bootstrap is not None
    low, high = found.bootstrap
    assert low < -0.04 < high < 0


@pytest.mark.parametrize("folds", [3, None])
def test_other_images_for_each_seed_are_not_averaged(toy: Toy, tmp_path: Path, folds: int | None) -> None:
    """In folds of one size labels may even be the same; where the seed draws the test images they are not."""
    split = {"train": {"part": "all"}, "test": {"part": "all"}, "shuffle": "seed", "folds": folds}
    card = toy.card(entries=list(RIGHT), **({"split": split} if folds else {}))
    registry = toy.registry(card)
    (tmp_path / "outputs").mkdir()
    for entry, (hits, offset) in RIGHT.items():
        for seed, right in enumerate(hits):
            content = outputs(right, offset, LABELS if folds else np.roll(LABELS, seed))
            sha256 = hashlib.sha256(content).hexdigest()
            (tmp_path / "outputs" / f"{sha256}.safetensors").write_bytes(content)
            made = {"sha256": sha256, "bytes": len(content)}
            toy.write(tmp_path, toy.record(entry, seed, right / 1000, spec=spec(registry, card, entry), outputs=made))
    found = compared((registry, tmp_path))
    assert len(found.images) == 3
    assert found.bootstrap is None
    assert found.gaps == ("no bootstrap: the seeds are tested on different images",)


def test_what_cannot_be_compared_is_named(kept: tuple[Registry, Path]) -> None:
    results = kept[1]
    records = [json.loads((results / f"toy@2/p4cnn@28/seed-{seed}.json").read_text("utf-8")) for seed in (0, 1)]
    first, second = (results / "outputs" / f"{record['outputs']['sha256']}.safetensors" for record in records)
    first.unlink()
    second.write_bytes(second.read_bytes()[:-1] + b"\x07")
    told = "\n".join(compared(kept).gaps)
    assert "they are kept outside git" in told
    assert "is not the file that the record of p4cnn@28 names" in told
    for seed in (0, 1, 2):
        (results / f"toy@2/p4cnn@27/seed-{seed}.json").unlink()
    with pytest.raises(UserError, match="p4cnn@27 has no official record of toy@2: gcnnbench run toy --entry p4cnn@27"):
        compared(kept)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("p4cnn@28", "names no entry of a benchmark: write BENCHMARK/SLUG@SIZE"),
        ("toy/p4cnn@31", "p4cnn@31 is no entry of toy@2; did you mean p4cnn@2"),
        ("tory/p4cnn@28", "did you mean toy"),
        ("toy@2/p4cnn@28", "p4cnn@28 is compared with itself; name another entry: p4cnn@27"),
    ],
)
def test_wrong_names_are_refused(kept: tuple[Registry, Path], name: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        compare(*kept, "toy/p4cnn@28", name)


def test_the_comparison_reads_well_and_parses(kept: tuple[Registry, Path]) -> None:
    found = compared(kept)
    text = comparison_as_markdown(found)
    assert "## toy@2: p4cnn@28 − p4cnn@27" in text
    assert "First: p4cnn@28, n = 3. Second: p4cnn@27, n = 3." in text
    assert "| upright    | 90.50±0.50 | 94.50±0.50 | −4.00 |" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "−4.00" in text
    assert "paired bootstrap" in text
    assert json.loads(json_document(found))["images"][0]["first_only"] == 40
