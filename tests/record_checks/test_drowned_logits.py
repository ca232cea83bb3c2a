"""Weights whose logits drown in rounding: the tolerance grows with them, and agreement within it shows nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gcnnbench.determinism.float_noise import centred, choices, too_many
from gcnnbench.record_checks.comparing import compare
from gcnnbench.record_checks.conditions import Conditions
from gcnnbench.record_checks.rescoring import Scores, score
from gcnnbench.runs.record import Record
from tests.trained_records import Trained, edited, graded


def scored(trained: Trained, *offsets: float) -> Scores:
    """The scores of seed 0 with constants added to the biases of the first logits, or one constant to all."""
    weights = trained.weights(0)
    bias = weights["linear.bias"].clone()
    bias[: len(offsets) if len(offsets) > 1 else None] += torch.tensor(offsets)
    return score(trained.cells[0], weights | {"linear.bias": bias}, Conditions.all)


def perfect(record: Record) -> Record:
    """The record with every image in its class under every condition."""
    counts = json.loads(record.counts.model_dump_json())
    for kind in ("elements", "angles"):
        for name, rows in counts[kind].items():
            counts[kind][name] = [[sum(row) * (i == j) for j in range(len(rows))] for i, row in enumerate(rows)]
    upright = counts["elements"]["upright"]
    return edited(record, counts=counts | {"flips": dict.fromkeys(counts["flips"], upright)})


@pytest.mark.parametrize("offsets", [(3e7,), (-1e8, 0.0)], ids=["all logits", "one logit"])
def test_what_rounding_decides_is_undecided(trained: Trained, offsets: tuple[float, ...]) -> None:
    """Softmax sees no constant that is added to all logits, and a class that is never chosen costs one class alone."""
    found = scored(trained, *offsets)
    open_to_all = choices(found.elements["upright"], found.tolerance)[:, 1:].all(1).float().mean()
    assert open_to_all > 0.9, "nearly every image may be put anywhere"
    outcome = compare(perfect(trained.finished[0].record), found, {})
    assert any("within float noise of a tie, and at most 1% may be" in told for told in outcome.undecided)


def test_an_offset_that_leaves_the_logits_apart_changes_no_tolerance(trained: Trained) -> None:
    found = scored(trained, 64.0)
    assert found.tolerance < 30 * trained.scores.tolerance, "64 costs some digits, and no more"
    outcome = compare(perfect(trained.finished[0].record), found, {})
    assert any("counts.elements.upright" in finding for finding in outcome.findings)
    assert outcome.undecided == ()


def test_an_honest_record_is_decided(trained: Trained, results: Path) -> None:
    row = graded(trained, results, conditions=Conditions.all)
    assert (row.grade, row.unchecked) == ("re-scored", ())


def test_few_ties_are_excused() -> None:
    assert [too_many(tied, 64) for tied in (0, 1, 2)] == [False, False, True]
    assert [too_many(tied, 10_000) for tied in (100, 101)] == [False, True]


def test_centred_logits_know_no_constant() -> None:
    logits: Tensor = torch.randn(5, 10)
    torch.testing.assert_close(centred(logits.double() + 3e7), centred(logits), rtol=0, atol=1e-7)
