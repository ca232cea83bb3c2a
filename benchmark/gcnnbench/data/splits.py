"""Splits a data set: which images train, validate and test, as the benchmark's card says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from gcnnbench.cards.benchmark_card import Share, Split
from gcnnbench.data.parts import Part
from gcnnbench.data.streams import derive
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many


@dataclass(frozen=True)
class Splits:
    """The images of one cell: to train on, to choose the epoch by (or none), and to test on."""

    train: Part
    validation: Part | None
    test: Part

    def each(self, change: Callable[[Part], Part]) -> Splits:
        """All of them after a change."""
        validation = change(self.validation) if self.validation else None
        return Splits(change(self.train), validation, change(self.test))


def order_seed(benchmark: str, seed: int, card: Split) -> int:
    """The seed of the order that shares are taken from: of this seed, or of seed 0 where the split is `fixed`.

    With folds it is one for each round of as many seeds.

    Args:
        benchmark: the benchmark's name without its version.
        seed: the cell's seed.
        card: the benchmark card's split.

    Returns:
        An integer for `split`.
    """
    return derive(benchmark, seed // (card.folds or 1) if card.shuffle == "seed" else 0, "split")


def split(parts: Mapping[str, Part], card: Split, seed_of_order: int, seed: int = 0) -> Splits:
    """Take train, then validation, then test, each from its part.

    Each part that trains or validates has one order: a permutation drawn from `seed_of_order`, or the files' order
    where `shuffle` is `none`. Shares of one part follow one another in it and never overlap. The test images stand in
    the files' order, and a part that serves only the test is not permuted.

    Args:
        parts: the data set's parts by name.
        card: the benchmark card's split.
        seed_of_order: what `order_seed` gives.
        seed: the cell's seed, which says what fold is tested where the split has folds.

    Returns:
        The three shares.

    Raises:
        UserError: a part is missing, or a share wants more images than are left.
    """
    indices = split_indices({name: len(part) for name, part in parts.items()}, card, seed_of_order, seed)
    return Splits(
        train=parts[card.train.part].select(indices["train"]),
        validation=parts[card.validation.part].select(indices["validation"]) if card.validation else None,
        test=parts[card.test.part].select(indices["test"]),
    )


def split_indices(sizes: Mapping[str, int], card: Split, seed_of_order: int, seed: int = 0) -> dict[str, Tensor]:
    """The positions in their parts of the images of each share, without the images.

    Args:
        sizes: the number of images of each part.
        card: the benchmark card's split.
        seed_of_order: what `order_seed` gives.
        seed: the cell's seed, which says what fold is tested where the split has folds.

    Returns:
        `train`, `validation` where there is one, and `test`: int64 (images,).

    Raises:
        UserError: a part is missing, or a share wants more images than are left.
    """
    shares = {"train": card.train, "validation": card.validation, "test": card.test}
    learning = {share.part for share in (card.train, card.validation) if share is not None}
    orders: dict[str, Tensor] = {}
    taken = dict.fromkeys(sizes, 0)
    chosen: dict[str, Tensor] = {}
    for role, share in shares.items():
        if share is None:
            continue
        if share.part not in sizes:
            raise UserError(f"split.{role}.part (={share.part}) is no part of the data set: {', '.join(sizes)}")
        if share.part not in orders:
            shuffled = card.shuffle != "none" and share.part in learning
            orders[share.part] = _order(sizes[share.part], seed_of_order if shuffled else None)
            if card.folds is not None and share.part == card.test.part:
                chosen["test"], orders[share.part] = _fold(orders[share.part], seed % card.folds, card.folds)
        if role in chosen:
            continue
        start, count = taken[share.part], _count(role, share, len(orders[share.part]) - taken[share.part])
        taken[share.part] += count
        chosen[role] = orders[share.part][start : start + count]
    chosen["test"] = chosen["test"].sort().values
    return chosen


def _order(size: int, seed: int | None) -> Tensor:
    if seed is None:
        return torch.arange(size)
    return torch.randperm(size, generator=torch.Generator().manual_seed(seed))


def _fold(order: Tensor, fold: int, folds: int) -> tuple[Tensor, Tensor]:
    """One of nearly equal pieces of an order, and the others joined."""
    start, stop = (len(order) * edge // folds for edge in (fold, fold + 1))
    return order[start:stop], torch.cat([order[:start], order[stop:]])


def _count(role: str, share: Share, left: int) -> int:
    count = left if share.images is None else share.images
    if count > left or not count:
        wanted = "all that is left" if share.images is None else how_many(count, "image")
        raise UserError(f"split.{role} wants {wanted} of part {share.part}, where {left} are left")
    return count
