"""The copies of each image over which the study of test-time augmentation averages."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from docs.studies.air_test_time import Seed, accuracies, copies, table
from gcnnbench.data.images import Images


def test_six_copies_are_the_image_two_moved_ones_and_their_mirrors() -> None:
    images = torch.rand(2, 3, 9, 9, dtype=torch.float64)
    weights, shown = zip(*copies(images), strict=True)
    assert sum(weights) == 1.0
    assert weights == (0.25, 0.25, 0.125, 0.125, 0.125, 0.125)
    assert torch.equal(shown[0], images)
    assert torch.equal(shown[2][..., 1:, 1:], images[..., :-1, :-1])
    assert torch.equal(shown[2][..., 0, 1:], images[..., 1, :-1]), "what comes in is reflected"
    assert torch.equal(shown[4][..., :-1, :-1], images[..., 1:, 1:])
    assert all(torch.equal(one.flip(-1), other) for one, other in zip(shown[::2], shown[1::2], strict=True))


def test_averaging_changes_nothing_of_flat_images() -> None:
    class Mean(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            return images.mean((-2, -1))

    flat = torch.rand(4, 3, 1, 1).expand(4, 3, 8, 8)
    averaged = torch.stack([weight * Mean()(copy) for weight, copy in copies(flat)]).sum(0)
    torch.testing.assert_close(averaged, Mean()(flat))


def test_an_image_is_judged_as_it_is_and_by_the_mean_over_its_copies() -> None:
    class LeftIsBright(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            left = images[..., :4].mean((1, 2, 3))
            return torch.stack([left, torch.full_like(left, 0.4)], 1)

    class Halves:
        labels = torch.tensor([0, 1])

        def __len__(self) -> int:
            return 2

        def batch(self, at: slice) -> Tensor:
            left = torch.cat([torch.ones(1, 8, 4), torch.zeros(1, 8, 4)], -1)
            return torch.stack([left, left.flip(-1)])[at]

    assert accuracies(LeftIsBright(), cast(Images, Halves())) == (1.0, 0.5)


def test_the_table_has_a_row_for_each_seed_and_the_gain_with_its_interval() -> None:
    text = table([Seed(0, 0.90, 0.90, 0.91), Seed(1, 0.89, 0.8901, 0.905)])
    assert "+1.00" in text
    assert "+1.49" in text
    assert "+1.25 [−1.87, +4.36]" in text
    assert "89.50 ± 0.71" in text
