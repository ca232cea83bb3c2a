"""The evidence of priors against closed forms: linear regression, the dense curvature, finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.architectures.learnt_priors import LearntPriors, without_norms
from gcnnbench.architectures.mnist_study import seven_convolutions
from gcnnbench.errors import UserError
from gcnnbench.nn.evidence import blocks, effective_weights, improved, jacobians, softmax_root
from gcnnbench.nn.groups import P4

Case = tuple[Tensor, list[Tensor], Tensor, Tensor]


def log_evidence(log_likelihood: float, curvature: Tensor, precision: Tensor, squares: Tensor) -> float:
    """`log p(D | θ) − ½ Σ δ_l‖θ_l‖² − ½ log|I + Σ B_l / δ_l|`, which the steps raise."""
    inner = torch.eye(curvature.shape[-1]).double() + (curvature / precision[:, None, None]).sum(0)
    return float(log_likelihood - 0.5 * (precision * squares).sum() - 0.5 * inner.logdet())


@pytest.fixture
def case() -> Case:
    """Logits, derivatives, curvature blocks and squared weights of a small network of three tensors on five images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = nn.Sequential(nn.Linear(4, 6, bias=False), nn.Tanh(), nn.Linear(6, 3)).double()
        logits, derivatives = jacobians(network, torch.randn(5, 4))
        squares = torch.stack([one.detach().square().sum() for one in network.parameters()])
    return logits, derivatives, blocks(derivatives, softmax_root(logits)), squares


def test_linear_regression_has_its_exact_evidence() -> None:
    """`log N(y; 0, σ²I + Σ_l X_l X_lᵀ/δ_l)`, for two tensors with precisions of their own."""
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(12, width, dtype=torch.float64, generator=generator) for width in (3, 5)]
    y = torch.randn(12, dtype=torch.float64, generator=generator)
    precision, variance = torch.tensor([0.7, 2.0], dtype=torch.float64), 0.3
    design = torch.cat(inputs, 1)
    prior = torch.cat([torch.full((3,), 0.7), torch.full((5,), 2.0)]).double()
    weights = torch.linalg.solve(design.T @ design / variance + prior.diag(), design.T @ y / variance)
    misfit = (y - design @ weights).square().sum() / variance
    likelihood = -0.5 * float(misfit) - 6 * math.log(2 * math.pi * variance)
    root = torch.full((12, 1, 1), variance**-0.5, dtype=torch.float64)
    squares = torch.stack([weights[:3].square().sum(), weights[3:].square().sum()])
    found = log_evidence(likelihood, blocks([one.unsqueeze(1) for one in inputs], root), precision, squares)
    covariance = variance * torch.eye(12, dtype=torch.float64)
    covariance += sum((one @ one.T / delta for one, delta in zip(inputs, precision, strict=True)), torch.zeros(()))
    exact = torch.distributions.MultivariateNormal(torch.zeros(12, dtype=torch.float64), covariance).log_prob(y)
    assert found == pytest.approx(float(exact), abs=1e-10)


def test_the_curvature_of_the_cross_entropy_has_this_root() -> None:
    logits = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    root, p = softmax_root(logits), logits.softmax(1)
    assert torch.allclose(root @ root.mT, torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1), atol=1e-15)


def test_the_determinant_is_that_of_the_dense_curvature(case: Case) -> None:
    logits, derivatives, curvature, squares = case
    precision = torch.tensor([0.5, 1.5, 4.0], dtype=torch.float64)
    everything = torch.cat(derivatives, 2)
    p = logits.softmax(1)
    middle = torch.diag_embed(p) - p.unsqueeze(2) * p.unsqueeze(1)
    dense = torch.einsum("ncp,ncd,ndq->pq", everything, middle, everything)
    prior = torch.cat([d.expand(one.shape[2]) for d, one in zip(precision, derivatives, strict=True)])
    expected = -0.5 * (precision * squares).sum() - 0.5 * (dense + prior.diag()).logdet() + 0.5 * prior.log().sum()
    assert log_evidence(0.0, curvature, precision, squares) == pytest.approx(float(expected), abs=1e-8)


def test_effective_weights_are_the_gradient_and_bounded(case: Case) -> None:
    """`∂/∂log δ_l = ½(γ_l − δ_l‖θ_l‖²)` by central differences; γ lies between none and all of the weights."""
    _, derivatives, curvature, squares = case
    precision = torch.tensor([0.5, 1.5, 4.0], dtype=torch.float64)
    gamma = effective_weights(curvature, precision)
    for place, weights in enumerate(one.shape[2] for one in derivatives):
        step = torch.zeros(3, dtype=torch.float64)
        step[place] = 1e-5
        up, down = (log_evidence(0.0, curvature, precision * (sign * step).exp(), squares) for sign in (1, -1))
        assert (up - down) / 2e-5 == pytest.approx(
            float(gamma[place] - precision[place] * squares[place]) / 2, abs=1e-7
        )
        assert 0 <= gamma[place] <= weights


def test_steps_end_where_the_evidence_is_flat(case: Case) -> None:
    *_, curvature, squares = case
    precision = improved(curvature, torch.ones(3, dtype=torch.float64), squares, steps=2000)
    assert torch.allclose(effective_weights(curvature, precision), precision * squares, rtol=1e-6)
    before = log_evidence(0.0, curvature, torch.ones(3, dtype=torch.float64), squares)
    assert log_evidence(0.0, curvature, precision, squares) > before


def test_a_path_that_is_fed_with_noise_is_shut() -> None:
    """Regression on inputs that explain the targets and others that do not, weights and precisions in turn."""
    generator = torch.Generator().manual_seed(0)
    seen, noise = (torch.randn(200, width, dtype=torch.float64, generator=generator) for width in (4, 20))
    y = seen.sum(1) + 0.5 * torch.randn(200, dtype=torch.float64, generator=generator)
    design, root = torch.cat([seen, noise], 1), torch.full((200, 1, 1), 2.0, dtype=torch.float64)
    curvature = blocks([seen.unsqueeze(1), noise.unsqueeze(1)], root)
    precision = torch.ones(2, dtype=torch.float64)
    for _ in range(30):
        prior = torch.cat([precision[0].expand(4), precision[1].expand(20)])
        weights = torch.linalg.solve(4 * design.T @ design + prior.diag(), 4 * design.T @ y)
        squares = torch.stack([weights[:4].square().sum(), weights[4:].square().sum()])
        precision = improved(curvature, precision, squares, steps=5)
    assert precision[0] == pytest.approx(1, abs=0.2)
    assert precision[1] > 300


def test_data_counted_twice_determines_more_weights(case: Case) -> None:
    *_, curvature, squares = case
    one = torch.ones_like(squares)
    assert (effective_weights(2 * curvature, one).sum() > effective_weights(curvature, one).sum()).item()


def learnt(**changes: int) -> LearntPriors:
    layers = seven_convolutions(size=12, channels=1, classes=3, planes=1, dropout=0.0, group=P4)
    return LearntPriors(without_norms(layers), depths=("pool",), **{"burn_in": 2, "every": 3, "outputs": 9, **changes})


def test_precisions_are_learnt_when_it_is_time_and_nothing_else_changes() -> None:
    network = learnt()
    batches = [(torch.randn(4, 1, 12, 12), torch.zeros(4).long()) for _ in range(3)]
    weights = {name: one.clone() for name, one in network.named_parameters()}
    assert float(network.penalty().detach()) == 0
    drawn = torch.random.get_rng_state()
    times = []
    for epoch in range(1, 9):
        before = network.log_precision.clone()
        network.learn_between_epochs(epoch, iter(batches))
        if not torch.equal(before, network.log_precision):
            times.append(epoch)
    assert times == [2, 5, 8]
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert all(torch.equal(one, weights[name]) for name, one in network.named_parameters())
    assert float(network.images) == 12
    squares = torch.stack([one.detach().square().sum() for one in network.parameters()])
    expected = float((network.log_precision.exp() * squares).sum()) / 24
    assert float(network.penalty().detach()) == pytest.approx(expected, rel=1e-6)
    assert list(network.degree()) == list(weights)


def test_a_count_below_one_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="every"):
        learnt(every=0)
