from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from gcnnbench.cards.benchmark_card import Share, Split
from gcnnbench.data.parts import Part
from gcnnbench.data.splits import order_seed, split, split_indices
from gcnnbench.errors import UserError

Shuffle = Literal["seed", "fixed", "none"]
SIZES = {"train": 60, "test": 40}


def swapped(shuffle: Shuffle = "seed") -> Split:
    """The roles of the MNIST study: `test` trains and validates, `train` tests."""
    return Split(
        train=Share(part="test", images=30),
        validation=Share(part="test", images=10),
        test=Share(part="train"),
        shuffle=shuffle,
    )


def one_part(shuffle: Shuffle = "seed", test: int | None = None) -> Split:
    return Split(
        train=Share(part="train", images=30),
        validation=Share(part="train", images=10),
        test=Share(part="train", images=test),
        shuffle=shuffle,
    )


@pytest.mark.parametrize("shuffle", ["seed", "fixed", "none"])
def test_shares_of_one_part_never_overlap_and_use_it_up(shuffle: Shuffle) -> None:
    chosen = split_indices(SIZES, one_part(shuffle), order_seed("b", 1, one_part(shuffle)))
    assert [len(chosen[role]) for role in ("train", "validation", "test")] == [30, 10, 20]
    assert torch.cat(list(chosen.values())).sort().values.tolist() == list(range(60))


def test_the_test_stands_in_the_files_order_and_its_own_part_is_not_permuted() -> None:
    assert split_indices(SIZES, swapped(), 5)["test"].tolist() == list(range(60))
    limited = swapped().model_copy(update={"test": Share(part="train", images=7)})
    assert split_indices(SIZES, limited, 5)["test"].tolist() == list(range(7))
    test = split_indices(SIZES, one_part(), 5)["test"]
    assert test.tolist() == sorted(test.tolist())
    assert test.tolist() != list(range(40, 60))


def test_train_and_validation_follow_one_another_in_one_permutation() -> None:
    order = torch.randperm(40, generator=torch.Generator().manual_seed(5))
    chosen = split_indices(SIZES, swapped(), 5)
    assert torch.equal(torch.cat([chosen["train"], chosen["validation"]]), order)


def test_without_shuffling_the_files_order_stays() -> None:
    chosen = split_indices(SIZES, one_part("none", test=5), 5)
    assert {role: indices.tolist() for role, indices in chosen.items()} == {
        "train": list(range(30)),
        "validation": list(range(30, 40)),
        "test": list(range(40, 45)),
    }


def test_the_order_hangs_on_benchmark_and_seed_unless_it_is_fixed() -> None:
    def train(benchmark: str, seed: int, shuffle: Shuffle) -> tuple[int, ...]:
        card = swapped(shuffle)
        return tuple(split_indices(SIZES, card, order_seed(benchmark, seed, card))["train"].tolist())

    assert train("a", 1, "seed") == train("a", 1, "seed")
    assert len({train("a", 0, "seed"), train("a", 1, "seed"), train("b", 1, "seed")}) == 3
    assert train("a", 0, "fixed") == train("a", 1, "fixed") == train("a", 0, "seed")


def test_images_and_labels_are_taken_together() -> None:
    numbers = torch.arange(60)
    parts = {"train": Part(numbers.to(torch.uint8).reshape(-1, 1, 1, 1), numbers)}
    shares = split(parts, one_part(), 9)
    assert shares.validation is not None
    for share in (shares.train, shares.validation, shares.test):
        assert torch.equal(share.images.flatten().to(torch.int64), share.labels)
    assert torch.equal(shares.train.labels, split_indices({"train": 60}, one_part(), 9)["train"])
    alone = Split(train=Share(part="train", images=1), test=Share(part="train"), shuffle="none")
    assert split(parts, alone, 9).validation is None


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (one_part(test=21), r"split\.test wants 21 images of part train, where 20 are left"),
        (
            Split(train=Share(part="train"), validation=Share(part="train"), test=Share(part="test"), shuffle="seed"),
            r"split\.validation wants all that is left of part train, where 0 are left",
        ),
        (
            Split(train=Share(part="extra"), test=Share(part="test"), shuffle="seed"),
            r"split\.train\.part \(=extra\) is no part of the data set: train, test",
        ),
    ],
)
def test_impossible_shares_are_named(card: Split, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split_indices(SIZES, card, 0)


@pytest.mark.parametrize("shuffle", ["seed", "fixed", "none"])
def test_over_as_many_seeds_as_folds_each_image_is_tested_once(shuffle: Shuffle) -> None:
    card = Split(
        train=Share(part="train", images=40),
        validation=Share(part="train", images=8),
        test=Share(part="train"),
        shuffle=shuffle,
        folds=7,
    )

    def indices(seed: int) -> dict[str, Tensor]:
        return split_indices(SIZES, card, order_seed("b", seed, card), seed)

    rounds = [[indices(seed) for seed in range(start, start + 7)] for start in (0, 7)]
    for found in rounds:
        assert torch.cat([shares["test"] for shares in found]).sort().values.tolist() == list(range(60))
        assert {len(shares["test"]) for shares in found} == {8, 9}
        for shares in found:
            together = torch.cat([shares["train"], shares["validation"], shares["test"]])
            assert len(together.unique()) == len(together) == 48 + len(shares["test"])
    same = all(torch.equal(one["test"], other["test"]) for one, other in zip(*rounds, strict=True))
    assert same == (shuffle != "seed"), "a new order for each round"


def test_a_fold_is_left_out_of_all_that_is_learnt_from() -> None:
    card = Split(train=Share(part="train"), test=Share(part="train"), shuffle="fixed", folds=5)
    for seed in range(5):
        chosen = split_indices(SIZES, card, order_seed("b", seed, card), seed)
        assert torch.cat([chosen["train"], chosen["test"]]).sort().values.tolist() == list(range(60))
        assert chosen["test"].tolist() == sorted(chosen["test"].tolist())
