"""The fast mask has the distribution of dropout: rate, mean, independence; and it repeats."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

from gcnnbench.errors import UserError
from gcnnbench.nn.dropout import LEVELS, Dropout, dropout, dropout_mask, kept_levels

RATES = [0.1, 0.3, 0.5, 0.9]


def generator(seed: int = 7) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("p", RATES)
def test_the_rate_is_right(p: float) -> None:
    mask = dropout_mask(torch.empty(1_000_003), p, generator())
    kept = int((mask > 0).sum())
    assert stats.binomtest(kept, mask.numel(), kept_levels(p) / LEVELS).pvalue > 1e-3
    assert abs(kept_levels(p) / LEVELS - (1 - p)) <= 0.5 / LEVELS


@pytest.mark.parametrize("p", RATES)
def test_there_are_two_factors_and_their_mean_is_one(p: float) -> None:
    factors = dropout_mask(torch.empty(10_000), p, generator()).unique()
    assert factors[0] == 0
    assert factors.numel() == 2
    assert float(factors[1]) * kept_levels(p) / LEVELS == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("shift", [1, 2, 3, 4, 5, 64, 4096])
def test_elements_are_independent(shift: int) -> None:
    kept = dropout_mask(torch.empty(1 << 20), 0.3, generator()) > 0
    one, other = kept[:-shift], kept[shift:]
    table = [
        [int((one & other).sum()), int((one & ~other).sum())],
        [int((~one & other).sum()), int((~one & ~other).sum())],
    ]
    assert stats.chi2_contingency(table).pvalue > 1e-3


def test_rows_of_64_have_binomial_counts() -> None:
    counts = (dropout_mask(torch.empty(1 << 14, 64), 0.3, generator()) > 0).sum(1)
    expected = stats.binom(64, kept_levels(0.3) / LEVELS)
    edges = [int(expected.ppf(q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95)]
    bins = torch.bucketize(counts, torch.tensor(edges))
    observed = torch.bincount(bins, minlength=6).tolist()
    shares = [b - a for a, b in zip([0, *expected.cdf(edges)], [*expected.cdf(edges), 1], strict=True)]
    assert stats.chisquare(observed, [share * counts.numel() for share in shares]).pvalue > 1e-3


def test_the_mask_repeats_and_moves_on() -> None:
    features = torch.empty(3, 5, 7, 7)
    source = generator()
    first, second = dropout_mask(features, 0.4, source), dropout_mask(features, 0.4, source)
    assert torch.equal(first, dropout_mask(features, 0.4, generator()))
    assert not torch.equal(first, second)


def test_the_mask_is_the_same_on_any_machine() -> None:
    mask = dropout_mask(torch.empty(24), 0.3, generator(0)) > 0
    assert "".join(str(int(kept)) for kept in mask) == "111111000111111011111111"


def test_the_default_generator_is_torchs() -> None:
    torch.manual_seed(3)
    first = dropout_mask(torch.empty(100), 0.5)
    torch.manual_seed(3)
    assert torch.equal(first, dropout_mask(torch.empty(100), 0.5))


def test_threads_change_nothing() -> None:
    features, before = torch.empty(1 << 20), torch.get_num_threads()
    masks = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        masks.append(dropout_mask(features, 0.3, generator()))
    torch.set_num_threads(before)
    assert torch.equal(*masks)


@pytest.mark.parametrize(
    "features",
    [
        torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last),
        torch.randn(2, 3, 4, 5),
        torch.randn(7, 3).T,
        torch.randn(6, 8)[::2, ::3],
        torch.randn(5).expand(4, 5),
        torch.randn(()),
        torch.randn(0, 3),
        torch.randn(9, dtype=torch.float32),
        torch.randn(9, dtype=torch.bfloat16),
    ],
    ids=["channels_last", "contiguous", "transposed", "strided", "expanded", "scalar", "empty", "float32", "bfloat16"],
)
def test_any_layout_and_type(features: Tensor) -> None:
    output = dropout(features, 0.5, generator())
    assert (output.shape, output.dtype) == (features.shape, features.dtype)
    assert bool(((output == 0) | (output == features * 2)).all())
    if features.ndim == 4:
        assert output.stride() == features.stride()


def test_the_gradient_has_the_same_mask() -> None:
    features = torch.randn(50, 4, requires_grad=True)
    output = Dropout(0.5)(features)
    output.sum().backward()
    torch.testing.assert_close(features.grad, (output / features).detach())


def test_the_ends_of_the_scale() -> None:
    features = torch.randn(100)
    assert torch.equal(dropout(features, 0.0), features)
    assert torch.equal(dropout(features, 1.0), torch.zeros(100))


def test_evaluation_leaves_the_features_alone() -> None:
    features = torch.randn(10)
    assert Dropout(0.5).eval()(features) is features


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_a_rate_that_is_no_probability_is_named(p: float) -> None:
    with pytest.raises(UserError, match=r"p \(=.*\) must lie in \[0, 1\]"):
        Dropout(p)
