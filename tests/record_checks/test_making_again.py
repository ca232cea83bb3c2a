"""Records made again from their seed: the same bits on the same stack, elsewhere a value among the other seeds'."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gcnnbench.record_checks import retraining
from gcnnbench.record_checks.conditions import NotCheckableError, cell_of
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.record import Record
from tests.trained_records import Trained, edited, graded


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"official": False, "unofficial_because": "limited to 8 images a share"}, "unofficial: limited to 8 images"),
        ({"benchmark": "tinny@1"}, "tinny is not registered here"),
        ({"entry": "q4cnn@9"}, "q4cnn@9 is not registered here"),
        ({"spec__model_version": 7, "benchmark": "tiny@1"}, "made with another model_version than this suite has"),
        ({"spec__recipe__epochs": "many"}, "its protocol is not one of this suite"),
    ],
)
def test_what_this_suite_cannot_make_again_is_said(trained: Trained, change: dict[str, Any], told: str) -> None:
    record = edited(trained.finished[0].record, **change)
    if "spec__model_version" in change:
        record = record.model_copy(update={"spec_digest": "0" * 64})
    with pytest.raises(NotCheckableError, match=told):
        cell_of(trained.registry, record, "cpu", Path())


def test_a_superseded_record_is_made_again_by_its_own_protocol(trained: Trained) -> None:
    newer = trained.registry.benchmark("tiny").model_copy(update={"version": 2})
    newer = newer.model_copy(update={"recipe": newer.recipe.model_copy(update={"epochs": 9})})
    registry = replace(trained.registry, benchmarks={**trained.registry.benchmarks, "tiny": newer})
    cell = cell_of(registry, trained.finished[0].record, "cpu", Path())
    assert (cell.card.full_name, cell.card.recipe.epochs) == ("tiny@1", 3)
    assert cell.digest == trained.finished[0].record.spec_digest


def test_the_same_stack_gives_the_same_bits(trained: Trained, results: Path) -> None:
    row = graded(trained, results, conditions=None, seed=0)
    assert (row.grade, row.findings, row.checked) == ("re-trained", (), ("trained again: the same bits",))


def again(monkeypatch: pytest.MonkeyPatch, finished: Finished) -> None:
    """Training again gives this, without training."""
    monkeypatch.setattr(retraining, "run_to_end", lambda _: finished)


def test_other_bits_on_the_same_stack_are_refused(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    again(monkeypatch, trained.finished[0])
    changes = {"training__history__1__train_loss": 0.1, "weights__sha256": "0" * 64}
    outcome = retraining.retrain(trained.cells[0], edited(trained.finished[0].record, **changes), [])
    same = "trained again on the same stack: "
    assert outcome.findings[0].startswith(f"{same}training.history: epoch 2 has loss 0.1, now")
    assert outcome.findings[1] == f"{same}weights: other bits"


def elsewhere(record: Record, orbit: float) -> Record:
    """The record as another machine made it, with other bits and this accuracy."""
    versions = {**record.provenance.versions, "torch": "2.99.0"}
    made = edited(record, provenance__versions=versions, weights__sha256="0" * 64)
    return made.model_copy(update={"metrics": {**made.metrics, "accuracy.orbit": orbit}})


@pytest.mark.parametrize(
    ("recorded", "made", "refused"),
    [(0.80, 0.81, None), (0.99, 0.81, "0.99 (recorded)"), (0.80, 0.60, "0.6 (trained again)")],
)
def test_elsewhere_both_values_lie_among_the_other_seeds(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, recorded: float, made: float, refused: str | None
) -> None:
    finished = copy.copy(trained.finished[0])
    record = finished.record
    new = record.model_copy(update={"metrics": {**record.metrics, "accuracy.orbit": made}})
    again(monkeypatch, replace(finished, record=new))
    others = [elsewhere(record, orbit) for orbit in (0.800, 0.805, 0.810, 0.805, 0.805)]
    outcome = retraining.retrain(trained.cells[0], elsewhere(record, recorded), others)
    if refused is None:
        assert outcome.findings == ()
        assert "another stack (torch 2.99.0, here" in outcome.checked[0]
        assert "of the 5 other seeds" in outcome.checked[0]
    else:
        assert [refused in finding for finding in outcome.findings] == [True]


def test_elsewhere_an_interval_too_wide_decides_nothing(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    finished = copy.copy(trained.finished[0])
    record = finished.record
    new = record.model_copy(update={"metrics": {**record.metrics, "accuracy.orbit": 0.81}})
    again(monkeypatch, replace(finished, record=new))
    others = [elsewhere(record, orbit) for orbit in (0.35, 0.40, 0.45)]
    outcome = retraining.retrain(trained.cells[0], elsewhere(record, 0.40), others)
    assert (outcome.findings, outcome.checked) == ((), ())
    assert "accuracy.orbit 0.4 recorded, 0.81 trained again on another stack" in outcome.undecided[0]
    assert "is wider than ±2 points" in outcome.undecided[0]


def test_elsewhere_seeds_that_do_not_differ_decide_nothing(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 300 images two seeds often get the same number right; a third one elsewhere is not wrong for it."""
    finished = copy.copy(trained.finished[0])
    record = finished.record
    new = record.model_copy(update={"metrics": {**record.metrics, "accuracy.orbit": 0.76}})
    again(monkeypatch, replace(finished, record=new))
    others = [elsewhere(record, 0.77) for _ in range(2)]
    outcome = retraining.retrain(trained.cells[0], elsewhere(record, 0.76), others)
    assert (outcome.findings, outcome.checked) == ((), ())
    assert "accuracy.orbit 0.76 recorded, 0.76 trained again on another stack" in outcome.undecided[0]
    assert "the 2 other seeds all have 0.7700" in outcome.undecided[0]


def test_seeds_trained_together_are_another_stack(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    again(monkeypatch, trained.finished[0])
    record = edited(trained.finished[0].record, provenance__seeds_at_once=4, weights__sha256="0" * 64)
    with pytest.raises(NotCheckableError, match="seeds_at_once"):
        retraining.retrain(trained.cells[0], record, [])


def test_elsewhere_one_other_seed_says_nothing(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    again(monkeypatch, trained.finished[0])
    record = elsewhere(trained.finished[0].record, 0.8)
    with pytest.raises(NotCheckableError, match="1 other seed cannot say how far accuracy"):
        retraining.retrain(trained.cells[0], record, [record])


@pytest.mark.parametrize("error", [RuntimeError("too small"), SystemExit(3)])
def test_a_network_that_fails_costs_its_own_row(
    trained: Trained, results: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fails(_: object) -> Finished:
        raise error

    monkeypatch.setattr(retraining, "run_to_end", fails)
    row = graded(trained, results, conditions=None, seed=0)
    said = "it calls sys.exit(3)" if isinstance(error, SystemExit) else "RuntimeError: too small"
    assert row.grade == "refused"
    assert row.findings[0].startswith(f"not re-trained, as the network's code fails: {said} ({__file__}, line ")
