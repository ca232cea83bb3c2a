from __future__ import annotations

import hashlib
from itertools import product

import pytest
import torch

from gcnnbench.data.streams import derive, generator


def test_derivation_is_the_stated_hash() -> None:
    text = '["quickstart",3,"order",7]'
    expected = int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) // 2
    assert derive("quickstart", 3, "order", 7) == expected
    assert derive("quickstart", 3, "order") == derive("quickstart", 3, "order", 0)


def test_each_argument_matters_and_none_runs_into_its_neighbour() -> None:
    grid = list(product(("a", "a1", 'a",1'), (0, 1, 11, 12), ("s", "s1", "1"), (0, 1, 11)))
    seeds = {derive(*arguments) for arguments in grid}
    assert len(seeds) == len(grid)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert len({seed % 2**32 for seed in seeds}) == len(grid), "PyTorch keeps 32 bits"


def test_a_generator_repeats_and_leaves_the_global_one_alone() -> None:
    before = torch.get_rng_state()
    first = torch.rand(5, generator=generator("quickstart", 0, "augmentation", 2))
    again = torch.rand(5, generator=generator("quickstart", 0, "augmentation", 2))
    other = torch.rand(5, generator=generator("quickstart", 0, "augmentation", 3))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("seed", "step"), [(-1, 0), (0, -1)])
def test_negative_numbers_are_refused(seed: int, step: int) -> None:
    with pytest.raises(ValueError, match=r"seed \(=.*step \(=.*must not be negative"):
        derive("quickstart", seed, "order", step)
