"""What a learnt symmetry costs: networks that learn how symmetric they are, against the equivariant one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.perf.bench import Bench
from gcnnbench.perf.networks import P4CNN, Setting, images
from gcnnbench.perf.report import Comparison
from gcnnbench.perf.timing import Work
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.training.phases import penalties, total_penalty

EXACT, PATHWAY = "p4cnn", "rpp-p4cnn"
SLUGS = (EXACT, PATHWAY, "relaxed-p4cnn", "projection-p4cnn", "likelihood-p4cnn")
SETTING = P4CNN
TRAINING, EVALUATION = "training step with its penalty", "evaluation"


def learnt(bench: Bench) -> Iterator[Comparison]:
    """Forward and backward with the penalty, and scoring: banks that sum to one convolution cost what one does."""
    torch.manual_seed(0)
    made = {slug: _setting(slug).network().to(bench.device) for slug in SLUGS}
    shown, labels = images(SETTING, bench.device)
    steps: dict[str, Work] = {slug: _step(network, shown, labels) for slug, network in made.items()}
    yield bench.compare("learnt", f"{TRAINING}, {SETTING.title}", steps, reference=EXACT)
    with torch.inference_mode():
        scored: dict[str, Work] = {slug: partial(for_scoring(network), shown) for slug, network in made.items()}
        yield bench.compare("learnt", f"{EVALUATION}, {SETTING.title}", scored, reference=EXACT)


def _setting(slug: str) -> Setting:
    return Setting(slug, SETTING.size, SETTING.batch, SETTING.channels)


def _step(network: nn.Module, shown: Tensor, labels: Tensor) -> Callable[[], Tensor]:
    network.train()
    terms = penalties(network)

    def step() -> Tensor:
        network.zero_grad(set_to_none=True)
        loss, penalty = F.cross_entropy(network(shown), labels), total_penalty(terms)
        total = loss if penalty is None else loss + penalty
        total.backward()
        return total

    return step
