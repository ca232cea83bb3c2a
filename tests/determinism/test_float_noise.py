"""Float noise excuses ties and nothing else."""

from __future__ import annotations

import pytest
import torch

from gcnnbench.determinism.float_noise import Orders, choices, one_hot, orders, unexplained
from gcnnbench.scoring.metrics import Ordered

LABELS = torch.tensor([0, 0, 1, 2])
CLEAR = torch.tensor([[5.0, 0.0, 0.0], [0.0, 5.0, 0.0], [0.0, 5.0, 0.0], [0.0, 0.0, 5.0]])
COUNTS = ((1, 1, 0), (0, 1, 0), (0, 0, 1))


def off(recorded: tuple[tuple[int, ...], ...], logits: torch.Tensor, allowed: float = 0.01) -> int:
    return unexplained(recorded, one_hot(LABELS, 3), choices(logits, allowed))


def with_logits(image: int, *logits: float) -> torch.Tensor:
    found = CLEAR.clone()
    found[image] = torch.tensor(logits)
    return found


def test_counts_of_clear_predictions_are_explained_and_any_other_is_not() -> None:
    assert off(COUNTS, CLEAR) == 0
    assert off(((2, 0, 0), (0, 1, 0), (0, 0, 1)), CLEAR) == 1
    assert off(((1, 1, 0), (0, 1, 0), (0, 1, 0)), CLEAR) == 1


@pytest.mark.parametrize(("gap", "explained"), [(0.019, True), (0.021, False)])
def test_a_tie_is_two_logits_within_twice_the_tolerance(gap: float, explained: bool) -> None:
    tied = with_logits(1, 5.0 - gap, 5.0, 0.0)
    assert off(COUNTS, tied) == 0
    assert (off(((2, 0, 0), (0, 1, 0), (0, 0, 1)), tied) == 0) is explained


def test_a_tie_explains_only_its_own_image_and_its_own_classes() -> None:
    tied = with_logits(1, 5.0, 5.0, 0.0)
    assert off(((1, 0, 1), (0, 1, 0), (0, 0, 1)), tied) == 1, "class 2 is far"
    assert off(((0, 2, 0), (0, 1, 0), (0, 0, 1)), tied) == 1, "the other image of class 0 is clear"
    assert off(((2, 0, 0), (1, 0, 0), (0, 0, 1)), tied) == 1, "one tie excuses no other row"


def test_counts_of_more_or_fewer_images_are_never_explained() -> None:
    tied = with_logits(1, 5.0, 5.0, 0.0)
    for found in (CLEAR, tied):
        for row in ((2, 1, 0), (1, 0, 0), (0, 1, 0)):
            assert off((row, (0, 1, 0), (0, 0, 1)), found) == 1, row


def test_ties_are_given_out_so_that_all_fit() -> None:
    tied = with_logits(0, 5.0, 5.0, 0.0)
    tied[1] = torch.tensor([0.0, 5.0, 5.0])
    for row in ((1, 1, 0), (1, 0, 1), (0, 2, 0), (0, 1, 1)):
        assert off((row, (0, 1, 0), (0, 0, 1)), tied) == 0
    for row in ((2, 0, 0), (0, 0, 2)):
        assert off((row, (0, 1, 0), (0, 0, 1)), tied) == 1


def test_joint_counts_may_be_tied_on_both_sides() -> None:
    upright, turned = choices(with_logits(0, 5.0, 5.0, 0.0), 0.01), choices(with_logits(2, 0.0, 5.0, 5.0), 0.01)
    assert unexplained(((1, 0, 0), (0, 2, 0), (0, 0, 1)), upright, turned) == 0
    assert unexplained(((0, 0, 0), (1, 1, 1), (0, 0, 1)), upright, turned) == 0
    assert unexplained(((0, 1, 0), (1, 1, 0), (0, 0, 1)), upright, turned) == 1


def test_pairs_within_noise_may_be_ordered_either_way() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    logits = torch.tensor([[0.0, 1.0], [0.0, 3.0], [0.0, 1.03], [0.0, 4.0]])
    assert orders(logits, labels, 0.0) == Orders(above=3, equal=0, free=0, pairs=4)
    assert orders(logits, labels, 0.01) == Orders(above=2, equal=0, free=1, pairs=4)
    for allowed in (0.0, 0.01):
        assert orders(torch.tensor([[0.0, 0.0]] * 4), labels, allowed) == Orders(above=0, equal=4, free=0, pairs=4)


@pytest.mark.parametrize(
    ("concordant", "tied", "explained"),
    [
        (500, 300, True),
        (502, 300, True),
        (503, 300, False),
        (499, 300, False),
        (651, 0, True),
        (656, 0, True),
        (657, 0, False),
        (646, 0, True),
        (645, 0, False),
    ],
)
def test_pairs_of_equal_scores_are_ties_and_few_of_them_may_be_apart(
    concordant: int, tied: int, explained: bool
) -> None:
    """Of 1,000 pairs ten may be open: two that noise orders, and eight of the equal ones."""
    found = Orders(above=500, equal=300, free=2, pairs=1000)
    assert found.explain(Ordered(concordant=concordant, tied=tied)) is explained
