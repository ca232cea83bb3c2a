"""Nobody steers which cells are trained again, and on another stack only the verifier's own seeds count."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from gcnnbench.record_checks.retraining import compare_elsewhere
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.record import Record
from gcnnbench.runs.store import read_record
from gcnnbench.submissions import verifying
from gcnnbench.submissions.bundle import open_bundle
from gcnnbench.submissions.findings import Refused
from gcnnbench.submissions.retraining import draw, drawn_in_words, grades_of
from gcnnbench.submissions.submitting import cells_of
from gcnnbench.submissions.verifying import verify_bundle
from tests.submissions.tampering import SEED_0


@pytest.fixture
def cells(packed: Path, mini: Path) -> list[Cell]:
    return cells_of(open_bundle(packed, [mini]).submission, Path("unused"))


@pytest.fixture
def record(packed: Path) -> Record:
    return read_record(packed / SEED_0)


def valued(record: Record, value: float, *, device: str = "cpu", bits: str = "0" * 64) -> Record:
    """A record with that accuracy over the orbit, made there."""
    return record.model_copy(
        update={
            "metrics": {**record.metrics, "accuracy.orbit": value},
            "provenance": record.provenance.model_copy(update={"device": device}),
            "weights": record.weights.model_copy(update={"sha256": bits}),
        }
    )


def grades(cells: Sequence[Cell], recorded: Sequence[Record], trained: Sequence[Record]) -> dict[int, tuple[str, str]]:
    found = grades_of(cells, lambda cell: recorded[cell.seed], lambda cell: trained[cell.seed])
    return {cell.seed: graded for cell, graded in found}


def test_the_verifier_draws_after_the_digest(cells: list[Cell]) -> None:
    """One bundle, and so one digest, gets now this cell and now that; a forger who grinds digests gains nothing."""
    many = [draw(cells, 1)[0].seed for _ in range(64)]
    assert set(many) == {0, 1}
    assert draw(cells, "all") == draw(cells, 2) == draw(cells, 9) == cells
    assert "of 2 cells: mini@1 mynet@12 seed 1; a single false cell would be missed 50% of the time" in drawn_in_words(
        cells[1:], cells
    )


def test_the_draw_is_printed_before_anything_is_trained(
    packed: Path, mini: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def trained(*_: object, **__: object) -> None:
        assert any("drawn here and now" in line for line in told)
        raise KeyboardInterrupt

    monkeypatch.setattr(verifying, "try_cell", trained)
    with pytest.raises(KeyboardInterrupt):
        verify_bundle(packed, Path("unused"), depth="read", retrain=1, include=[mini], say=told.append)


def test_the_same_bits_are_re_trained(cells: list[Cell], record: Record) -> None:
    assert grades(cells, [record, record], [record, record]) == dict.fromkeys(
        (0, 1), ("re-trained", "trained again: the same bits")
    )


def test_other_bits_on_the_same_stack_are_refused(cells: list[Cell], record: Record) -> None:
    with pytest.raises(Refused, match="seed 0: trained again on the same stack: weights: other bits"):
        grades(cells, [record, record], [valued(record, 0.8), record])


def test_a_claimed_other_machine_is_held_against_the_verifiers_own_seeds(cells: list[Cell], record: Record) -> None:
    """Weights trained on the test set: the forger's own two seeds agree with each other, and not with the recipe."""
    forged = [valued(record, value, device="cuda") for value in (0.97, 0.98)]
    honest = [valued(record, value, bits="1" * 64) for value in (0.80, 0.81)]
    with pytest.raises(Refused, match=r"differs by \+17\.00 points, which lies outside ±2 points"):
        grades(cells, forged, honest)


def test_numbers_of_another_stack_have_a_grade_with_a_weaker_name(cells: list[Cell], record: Record) -> None:
    elsewhere = [valued(record, value, device="cuda") for value in (0.80, 0.81)]
    here = [valued(record, value, bits="1" * 64) for value in (0.801, 0.810)]
    found = grades(cells, elsewhere, here)
    assert {grade for grade, _ in found.values()} == {"re-trained within tolerance"}
    assert "80.00, 81.00 recorded, 80.10, 81.00 trained again on another stack" in found[0][1]


def test_what_tells_nothing_is_undecided_and_shows_both_values(cells: list[Cell], record: Record) -> None:
    forged = [valued(record, value, device="cuda") for value in (0.97, 0.98)]
    one = grades(cells[:1], forged, [valued(record, 0.80, bits="1" * 64)])
    assert one[0][0] == "undecided"
    assert "97.00 recorded, 80.00 trained again" in one[0][1]
    assert "1 seed cannot say how far numbers may differ; --retrain all trains every seed" in one[0][1]


@pytest.mark.parametrize(
    ("recorded", "trained", "verdict", "told"),
    [
        ([0.5, 0.5, 0.5], [0.5, 0.5, 0.5], "agrees", ": the same numbers"),
        ([0.801, 0.802, 0.803], [0.8, 0.803, 0.8], "agrees", "lies inside ±2 points"),
        ([0.95, 0.93], [0.9325, 0.9125], "undecided", "each differs by +1.75 points, which does not say how far"),
        ([0.9, 0.5], [0.5, 0.9], "undecided", "these seeds tell nothing"),
        ([0.9, 0.92, 0.88], [0.9, 0.9, 0.9], "undecided", "neither lies inside ±2 points nor outside"),
        ([0.9, 0.91, 0.92], [0.8, 0.81, 0.82], "differs", "lies outside ±2 points"),
        ([0.8, 0.81, 0.82], [0.9, 0.911, 0.92], "differs", "lies outside ±2 points"),
        ([], [], "undecided", "0 seeds cannot say"),
    ],
)
def test_the_weaker_test(recorded: list[float], trained: list[float], verdict: str, told: str) -> None:
    found = compare_elsewhere("accuracy.orbit", recorded, trained)
    assert found.verdict == verdict
    assert told in found.why
