"""Records held against their own weights: what is honest passes, and every deeper tampering is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gcnnbench.record_checks.comparing import compare
from gcnnbench.record_checks.conditions import Conditions, cell_of
from gcnnbench.record_checks.rescoring import MisfitError, score
from gcnnbench.runs.files import blob
from gcnnbench.runs.record import Record, sealed
from gcnnbench.runs.store import Store
from tests.trained_records import Trained, edited, graded


def test_an_honest_record_holds_and_says_what_was_checked(trained: Trained) -> None:
    outcome = compare(trained.finished[0].record, trained.scores, trained.outputs)
    assert outcome.findings == ()
    *measured, scored = outcome.checked
    assert measured == ["seed", "equivariance and exactness", "parameters", "MACs", "validation accuracy"]
    assert scored.startswith("upright, rot90, rot180, rot270, 3 angles of the curve: 64 images with their logits")
    assert outcome.unchecked == ()


def test_what_was_not_scored_is_said(trained: Trained) -> None:
    upright = replace(trained.scores, elements={"upright": trained.scores.elements["upright"]}, angles={})
    outcome = compare(trained.finished[0].record, upright, {})
    assert outcome.checked[-1].startswith("upright: 64 images")
    assert outcome.unchecked == ("rot90, rot180, rot270, 3 angles of the curve",)


def moved(record: Record, kind: str, name: str) -> Record:
    """One image of some class is said to be put into another class, everywhere where that shows."""
    counts = json.loads(record.counts.model_dump_json())
    matrix = counts[kind][name]
    row = next(place for place, cells in enumerate(matrix) if cells[place])
    other = (row + 1) % len(matrix)
    matrix[row][row] -= 1
    matrix[row][other] += 1
    if kind == "elements":
        joint = counts["flips"][name]
        from_ = next(place for place, cells in enumerate(joint) if cells[row])
        joint[from_][row] -= 1
        joint[from_][other] += 1
    return edited(record, counts=counts)


def fewer_flips(record: Record) -> Record:
    """Two images exchange what they are turned into, so that fewer classes flip and every sum stays."""
    joint = json.loads(record.counts.model_dump_json())["flips"]["rot90"]
    places = [(row, column) for row, cells in enumerate(joint) for column, number in enumerate(cells) if number]
    one, two = next((a, b) for a in places for b in places if a[0] != b[0] and a[1] != b[1])
    for (row, column), change in ((one, -1), (two, -1), ((one[0], two[1]), 1), ((two[0], one[1]), 1)):
        joint[row][column] += change
    return edited(record, counts__flips__rot90=joint)


def relaxed(record: Record) -> Record:
    """Less equivariance error after training, with the relaxation that belongs to it."""
    after, before = record.equivariance.after.invariance_error, record.equivariance.before.invariance_error
    assert after is not None
    assert before is not None
    lower = after * 0.99
    changes = {"equivariance__after__invariance_error": lower, "equivariance__relaxation__logits": lower - before}
    return edited(record, **changes)


def better_validation(record: Record) -> Record:
    place = record.training.tested_epoch - 1
    return edited(record, **{f"training__history__{place}__validation_accuracy": 1.0})


TAMPERINGS: list[tuple[Callable[[Record], Record], str]] = [
    (lambda record: moved(record, "elements", "rot90"), "counts.elements.rot90: 1 image put elsewhere"),
    (lambda record: moved(record, "angles", "180"), "counts.angles.180: 1 image put elsewhere"),
    (fewer_flips, "counts.flips.rot90: "),
    (relaxed, "equivariance.after.invariance_error: "),
    (lambda record: edited(record, equivariance__before__depths__1__paper=0.5), "equivariance.before.depths.relu2"),
    (lambda record: edited(record, equivariance__exactness_after__decision="exact"), "exactness_after.decision: exact"),
    (lambda record: edited(record, equivariance__exactness_before__grid="symmetric"), "exactness_before.grid: symm"),
    (lambda record: edited(record, cost__macs=1_000), "cost.macs: 1000, but one image takes"),
    (lambda record: edited(record, cost__parameters=24), "cost.parameters: 24, but the network has"),
    (better_validation, "training.history: validation accuracy 1.0 in the tested epoch"),
]


@pytest.mark.parametrize(("tamper", "told"), TAMPERINGS, ids=[told for _, told in TAMPERINGS])
def test_tampering_that_recomputes_is_found_by_the_weights(
    trained: Trained, tamper: Callable[[Record], Record], told: str
) -> None:
    findings = compare(tamper(trained.finished[0].record), trained.scores, {}).findings
    assert any(told in finding for finding in findings), findings


def test_changed_logits_and_classes_in_the_outputs_are_found(trained: Trained) -> None:
    record, honest = trained.finished[0].record, trained.outputs
    nudged = {**honest, "logits": honest["logits"] * (1 + 1e-3)}
    assert "outputs: logits upright are " in compare(record, trained.scores, nudged).findings[0]
    turned = honest["angle_classes"].clone()
    turned[1] = (turned[1] + 1) % 10
    found = compare(record, trained.scores, {**honest, "angle_classes": turned}).findings
    assert found == ("outputs: 64 classes at 90° are others, ties apart",)


def test_weights_of_another_seed_are_found_though_they_fit(trained: Trained) -> None:
    scores = score(trained.cells[0], trained.weights(1), Conditions.upright)
    findings = compare(trained.finished[0].record, scores, {}).findings
    assert findings[0] == "weights: trained from the initial weights of seed 1, not 0"
    assert any(finding.startswith("equivariance.after") for finding in findings)


def test_a_seed_under_another_seeds_name_is_found(trained: Trained) -> None:
    renamed = edited(trained.finished[1].record, seed=0)
    scores = score(cell_of(trained.registry, renamed, "cpu", Path()), trained.weights(1), Conditions.all)
    findings = compare(renamed, scores, {}).findings
    assert "weights: trained from the initial weights of seed 1, not 0" in findings
    assert any(finding.startswith("equivariance.before") for finding in findings), "another start has other errors"


def test_weights_that_do_not_fit_are_no_weights_of_the_entry(trained: Trained) -> None:
    weights = trained.weights(0)
    weights.pop(next(iter(weights)))
    with pytest.raises(MisfitError, match="Missing key"):
        score(trained.cells[0], weights, Conditions.upright)


def test_slightly_other_weights_of_the_right_shape_are_found(trained: Trained) -> None:
    weights = {name: value * (1 + 1e-4) if value.ndim > 1 else value for name, value in trained.weights(0).items()}
    scores = score(trained.cells[0], weights, Conditions.upright)
    findings = compare(trained.finished[0].record, scores, trained.outputs).findings
    assert any("equivariance.after" in finding for finding in findings)
    assert any("outputs: logits upright" in finding for finding in findings)


def test_records_are_re_scored_where_weights_and_data_are(trained: Trained, results: Path) -> None:
    row = graded(trained, results, conditions=Conditions.upright)
    assert (row.grade, row.findings) == ("re-scored", ())
    assert row.checked[-1].startswith("upright: 64 images with their logits")


def test_what_cannot_be_re_scored_keeps_its_grade_and_says_why(trained: Trained, results: Path) -> None:
    store = Store(results)
    path = store.record_path(trained.cells[0])
    record = trained.finished[0].record
    elsewhere = record.model_copy(update={"weights": record.weights.model_copy(update={"committed": False})})
    path.write_text(sealed(elsewhere).model_dump_json(), "utf-8")
    path.with_suffix(".safetensors").unlink()
    row = graded(trained, results, conditions=Conditions.upright)
    assert (row.grade, row.findings) == ("recomputed", ())
    assert row.unchecked == ("not re-scored: its weights are kept outside git and are not here",)


def test_outputs_must_be_what_was_counted(trained: Trained, results: Path) -> None:
    store, record = Store(results), trained.finished[0].record
    assert record.outputs is not None
    path = blob(results, record.outputs.sha256)
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert "has another sha256 than its name" in graded(trained, results, conditions=None).findings[0]
    path.write_bytes(trained.finished[0].outputs)
    tampered = moved(record, "elements", "rot90")
    store.record_path(trained.cells[0]).write_text(sealed(tampered).model_dump_json(), "utf-8")
    row = graded(trained, results, conditions=None)
    assert row.findings == (
        "counts.elements.rot90: not the counts of the kept outputs",
        "counts.flips.rot90: not the counts of the kept outputs",
    )


def test_a_record_of_a_newer_form_is_not_checkable(trained: Trained, results: Path) -> None:
    path = Store(results).record_path(trained.cells[0])
    data = json.loads(path.read_text("utf-8")) | {"schema_version": 2, "something": "new"}
    path.write_text(json.dumps(data), "utf-8")
    row = graded(trained, results, conditions=None)
    assert row.grade == "not checkable"
    assert "schema_version 2 is newer than this suite reads (up to 1)" in row.notes[0]


def test_the_trace_of_a_seed_is_told_from_chance(trained: Trained) -> None:
    assert trained.scores.start is not None
    assert trained.scores.start.origin.told
    noise = {name: torch.randn_like(value) for name, value in trained.weights(0).items() if value.is_floating_point()}
    whole = {**trained.weights(0), **noise}
    whole = {name: value.abs() if "running_var" in name else value for name, value in whole.items()}
    scores = score(trained.cells[0], whole, Conditions.upright)
    assert scores.start is not None
    assert (scores.start.origin.told, scores.start.origin.other) == (False, None)
    assert compare(trained.finished[0].record, scores, {}).unchecked[0].startswith("seed, as the weights keep no trace")


def test_of_an_earlier_model_version_the_weights_are_scored_and_the_start_is_not(trained: Trained) -> None:
    scores = replace(trained.scores, start=None)
    outcome = compare(trained.finished[0].record, scores, {})
    assert not outcome.findings
    assert "seed" not in outcome.checked
    assert outcome.unchecked[0].startswith("seed and equivariance before training: made with an earlier version")
