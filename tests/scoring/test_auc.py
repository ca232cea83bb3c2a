"""The area under the ROC curve: from logits to counts to the metric, and counts that cannot be right."""

from __future__ import annotations

import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor

from gcnnbench.scoring.conditions import EvaluationState, count
from gcnnbench.scoring.metrics import Confusion, Counts, Ordered, differences, inconsistencies, metrics


def scored(logits: Tensor, labels: Tensor) -> Counts:
    turned = {"upright": logits, "rot180": logits.flip(0)}
    state = EvaluationState(logits=turned, classes={"0": logits.argmax(1).to(torch.int16)})
    return count(state, labels, 2, auc=True)


@pytest.fixture
def counts() -> Counts:
    draws = torch.Generator().manual_seed(0)
    labels = torch.randint(2, (300,), generator=draws)
    logits = torch.randn(300, 2, generator=draws)
    logits[:, 1] += labels
    return scored(logits, labels)


@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_it_is_the_area_under_the_roc_curve(levels: int) -> None:
    """Also with few levels, at which most pairs are tied."""
    draws = torch.Generator().manual_seed(levels)
    labels = torch.randint(2, (200,), generator=draws)
    logits = torch.randint(levels, (200, 2), generator=draws).float()
    logits[:, 1] += labels
    found = metrics(scored(logits, labels), ("upright",), invariance_error=None)["auc"]
    expected = roc_auc_score(labels.numpy(), (logits[:, 1] - logits[:, 0]).numpy())
    assert found == pytest.approx(float(expected), abs=1e-12)


def test_large_logits_are_still_told_apart() -> None:
    """A softmax in float32 would call both of these certain and tie them."""
    logits = torch.tensor([[0.0, 60.0], [0.0, 61.0]])
    assert scored(logits, torch.tensor([0, 1])).ordered == Ordered(concordant=1, tied=0)
    assert scored(logits, torch.tensor([1, 0])).ordered == Ordered(concordant=0, tied=0)


def test_it_is_null_where_it_was_not_asked_for_or_one_class_is_missing(counts: Counts) -> None:
    unasked = counts.model_copy(update={"ordered": None})
    assert metrics(unasked, ("upright",), invariance_error=None)["auc"] is None
    alone = scored(torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([1, 1]))
    assert metrics(alone, ("upright",), invariance_error=None)["auc"] is None
    assert Counts.model_validate_json(unasked.model_dump_json(exclude={"ordered"})) == unasked, "older records"


def test_counts_that_cannot_be_are_found(counts: Counts) -> None:
    assert inconsistencies(counts) == []
    assert counts.ordered is not None
    for concordant, tied in ((0, 0), (counts.ordered.concordant, 10**6), (10**6, 0)):
        edited = counts.model_copy(update={"ordered": Ordered(concordant=concordant, tied=tied)})
        (finding,) = inconsistencies(edited)
        assert f"counts.ordered: {concordant} pairs concordant and {tied} tied, but by" in finding
    three: dict[str, Confusion] = {"upright": ((1, 0, 0), (0, 1, 0), (0, 0, 1))}
    odd = Counts(elements=three, angles={}, flips={}, ordered=Ordered(concordant=1, tied=0))
    assert inconsistencies(odd) == ["counts.ordered orders two classes, but counts.elements.upright has 3"]


def test_an_edited_auc_is_named(counts: Counts) -> None:
    made = metrics(counts, ("upright",), invariance_error=None)
    (finding,) = differences({**made, "auc": 0.99}, made)
    assert finding == f"metrics.auc is 0.99, but the counts give {made['auc']}"
