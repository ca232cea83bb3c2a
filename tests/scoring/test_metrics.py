"""Metrics are what their definitions say, and counts that contradict themselves are found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gcnnbench.scoring.metrics import METRIC_VERSIONS, Confusion, Counts, differences, images, inconsistencies, metrics

Classes = NDArray[np.int64]
ELEMENTS = ("upright", "rot90", "rot180", "rot270")
CLASSES, IMAGES = 5, 300


def joint(first: Classes, second: Classes) -> Confusion:
    table = np.zeros((CLASSES, CLASSES), dtype=np.int64)
    np.add.at(table, (first, second), 1)
    return tuple(tuple(int(count) for count in row) for row in table)


@pytest.fixture
def predictions() -> dict[str, Classes]:
    random = np.random.default_rng(0)
    labels = random.integers(0, CLASSES, IMAGES)
    found = {"labels": labels}
    for position, name in enumerate((*ELEMENTS, "120", "240")):
        wrong = random.random(IMAGES) < 0.1 + 0.1 * position
        found[name] = np.where(wrong, random.integers(0, CLASSES, IMAGES), labels)
    return found | {"0": found["upright"]}


@pytest.fixture
def counts(predictions: dict[str, Classes]) -> Counts:
    labels = predictions["labels"]
    return Counts(
        elements={name: joint(labels, predictions[name]) for name in ELEMENTS},
        angles={name: joint(labels, predictions[name]) for name in ("0", "120", "240")},
        flips={name: joint(predictions["upright"], predictions[name]) for name in ELEMENTS[1:]},
    )


def test_every_metric_is_its_definition(counts: Counts, predictions: dict[str, Classes]) -> None:
    right = {name: float(np.mean(found == predictions["labels"])) for name, found in predictions.items()}
    turned = ELEMENTS[1:]
    expected = {
        **{f"accuracy.{name}": right[name] for name in ELEMENTS},
        "accuracy.seen": (right["upright"] + right["rot180"]) / 2,
        "accuracy.unseen": (right["rot90"] + right["rot270"]) / 2,
        "accuracy.orbit": float(np.mean([right[name] for name in ELEMENTS])),
        "accuracy.curve_mean": float(np.mean([right[name] for name in ("0", "120", "240")])),
        "invariance_error": 0.25,
        "flips": float(np.mean([predictions[name] != predictions["upright"] for name in turned])),
    }
    found = metrics(counts, ("upright", "rot180"), invariance_error=0.25)
    assert found.pop("auc") is None
    assert found == pytest.approx(expected, rel=1e-15)
    assert images(counts) == IMAGES


def test_unseen_is_null_where_training_has_seen_every_element(counts: Counts) -> None:
    found = metrics(counts, ELEMENTS, invariance_error=None)
    assert found["accuracy.unseen"] is None
    assert found["accuracy.seen"] == found["accuracy.orbit"]
    assert found["auc"] is None


def test_the_identity_among_the_flips_changes_nothing(counts: Counts, predictions: dict[str, Classes]) -> None:
    upright = predictions["upright"]
    with_identity = counts.model_copy(update={"flips": {"upright": joint(upright, upright), **counts.flips}})
    assert inconsistencies(with_identity) == []
    assert metrics(with_identity, ELEMENTS, invariance_error=0.0) == metrics(counts, ELEMENTS, invariance_error=0.0)


def test_a_mean_is_rounded_once() -> None:
    third: Confusion = ((1, 2), (0, 0))
    counts = Counts(
        elements={"upright": third, "rot180": third}, angles={"0": third}, flips={"rot180": ((1, 0), (0, 2))}
    )
    found = metrics(counts, ["upright"], invariance_error=0.0)
    assert found["accuracy.orbit"] == found["accuracy.upright"] == 1 / 3


def test_every_metric_has_a_defined_version(counts: Counts) -> None:
    names = set(metrics(counts, ELEMENTS, invariance_error=0.0))
    defined = names - {f"accuracy.{element}" for element in ELEMENTS} | {"accuracy.element"}
    assert defined == set(METRIC_VERSIONS)


def test_an_unknown_element_and_an_empty_condition_are_refused(counts: Counts) -> None:
    with pytest.raises(ValueError, match="seen names 'rot45', which was not counted: one of upright, rot90"):
        metrics(counts, ("upright", "rot45"), invariance_error=0.0)
    empty: dict[str, Confusion] = {"upright": ((0, 0), (0, 0))}
    with pytest.raises(ValueError, match="counts no image"):
        metrics(Counts(elements=empty, angles={}, flips={}), ("upright",), invariance_error=0.0)


def altered(counts: Counts, kind: str, name: str, moves: list[tuple[int, int, int]]) -> Counts:
    """The counts with some images moved: (row, column, change)."""
    tables: dict[str, Any] = counts.model_dump()
    table = [list(row) for row in tables[kind][name]]
    for row, column, change in moves:
        table[row][column] += change
    tables[kind][name] = tuple(map(tuple, table))
    return Counts(**tables)


def test_counts_of_one_network_on_one_test_set_are_consistent(counts: Counts) -> None:
    assert inconsistencies(counts) == []


@pytest.mark.parametrize(
    ("kind", "name", "moves", "finding"),
    [
        ("elements", "rot90", [(0, 0, 1)], "counts.elements.rot90 has other test labels"),
        ("angles", "0", [(0, 0, 1), (0, 1, -1)], "counts.angles.0 is not counts.elements.upright"),
        ("angles", "120", [(0, 0, 1), (1, 1, -1)], "counts.angles.120 has other test labels"),
        ("elements", "rot90", [(0, 0, -1), (0, 1, 1)], "flips.rot90: its column sums"),
        ("elements", "upright", [(0, 0, 1), (0, 1, -1)], "flips.rot270: its row sums"),
        ("flips", "rot180", [(0, 0, 1)], "flips.rot180: its row sums"),
        ("flips", "rot180", [(0, 0, -1), (0, 1, 1)], "flips.rot180: its column sums"),
    ],
)
def test_a_moved_image_is_found(
    counts: Counts, kind: str, name: str, moves: list[tuple[int, int, int]], finding: str
) -> None:
    findings = inconsistencies(altered(counts, kind, name, moves))
    assert any(finding in text for text in findings), findings


def test_missing_conditions_and_crooked_tables_are_found(counts: Counts) -> None:
    lacking = counts.model_copy(update={"flips": {"rot90": counts.flips["rot90"]}})
    assert inconsistencies(lacking) == [
        "counts.flips and counts.elements are not about the same elements: rot180, rot270"
    ]
    crooked = counts.model_copy(update={"angles": {"0": ((1, 2), (3, 4))}})
    assert inconsistencies(crooked) == ["counts.angles.0 is not 5 × 5, the number of classes"]
    headless = counts.model_copy(update={"elements": {}})
    assert inconsistencies(headless) == ["counts.elements lacks 'upright', against which everything else is compared"]


def test_more_gained_than_changed_is_found() -> None:
    counts = Counts(
        elements={"upright": ((2, 2), (2, 2)), "rot180": ((4, 0), (0, 4))},
        angles={},
        flips={"rot180": ((4, 0), (0, 4))},
    )
    assert inconsistencies(counts) == ["counts.flips.rot180: 0 classes change, yet 4 more or fewer are right"]


def test_an_edited_metric_is_named(counts: Counts) -> None:
    recomputed = metrics(counts, ELEMENTS, invariance_error=0.0)
    assert differences(recomputed, recomputed) == []
    edited = {**recomputed, "accuracy.rot90": 0.99}
    assert differences(edited, recomputed) == [
        f"metrics.accuracy.rot90 is 0.99, but the counts give {recomputed['accuracy.rot90']}"
    ]
    assert differences({**recomputed, "accuracy.best": 1.0}, recomputed) == [
        "metrics.accuracy.best is no metric of this cell"
    ]
    older = {name: value for name, value in recomputed.items() if name != "flips"}
    assert differences(older, recomputed) == []
