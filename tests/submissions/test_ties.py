"""Logits that all move alike, or one class that is never chosen, make no room for other outputs and hide nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import save
from torch import Tensor, nn

from gcnnbench.cards.registry import Registry
from gcnnbench.data.parts import Part
from gcnnbench.equivariance.results import EquivarianceState, Exactness
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import prepare_material
from gcnnbench.runs.measuring import Measured
from gcnnbench.scoring.conditions import EvaluationState
from gcnnbench.submissions import rescoring, verifying
from gcnnbench.submissions.contained.metamorphic import contents, scoring_findings
from gcnnbench.submissions.findings import Refused
from gcnnbench.submissions.rescoring import counts_of, differences
from tests.tiny_benchmark import TINY


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(Registry.load([TINY]), "tiny", "z2cnn@8", 0, "cpu", 1, tmp_path)


def outputs(offset: Tensor, *, forged: bool = False) -> EvaluationState:
    """Logits of 200 images under two elements, in float32, those of the quarter turn perhaps of other images."""
    logits = {}
    for seed, name in enumerate(("upright", "rot90")):
        drawn = torch.randn(200, 10, generator=torch.Generator().manual_seed(seed + forged * seed))
        logits[name] = (drawn + offset).float()
    return EvaluationState(logits=logits)


ALL, ONE = torch.full((10,), 2e5), torch.tensor([-1e7, *[0.0] * 9])


@pytest.mark.parametrize("offset", [torch.zeros(10), ALL], ids=["none", "of all"])
def test_forged_logits_are_found_whatever_is_added_to_all(offset: Tensor) -> None:
    (found,) = differences(outputs(offset, forged=True), outputs(offset))
    assert found.startswith("logits rot90 are ")
    assert list(differences(outputs(offset), outputs(offset))) == []


@pytest.mark.parametrize("offset", [ALL, ONE], ids=["of all", "of one class"])
def test_scores_that_float_noise_decides_are_refused(
    cell: Cell, monkeypatch: pytest.MonkeyPatch, offset: Tensor
) -> None:
    """Also where the logits of one class alone are so large that those of the others are within the noise of them."""
    offset = offset * 1e3 if offset is ALL else offset
    assert "two classes are equal but for float noise for" in refused(cell, monkeypatch, outputs(offset))


def refused(cell: Cell, monkeypatch: pytest.MonkeyPatch, found: EvaluationState) -> str:
    """Why a network that gives these outputs of 200 images of two classes is refused; empty where it is not."""
    measured = EquivarianceState(depths=(), invariance_error=0.0, flips=0.0, dtype="float64")
    exact = Exactness(
        grid="symmetric",
        certificate="exact",
        decision="exact",
        first_break=None,
        error=0.0,
        nearest_exact_sizes=(),
        reason=None,
    )
    after = Measured(state=measured, exactness=exact).model_dump_json()
    report = {"after": after, "parameters": 1, "macs": 1, "test_seconds": 1.0, "scored": 1}
    monkeypatch.setattr(rescoring, "run_job_or_refuse", lambda *_: SimpleNamespace(report=report, tensors={}))
    monkeypatch.setattr(rescoring, "evaluation_of", lambda *_: found)
    test = Part(torch.zeros(200, 1, 8, 8, dtype=torch.uint8), torch.arange(200) % 2)
    try:
        rescoring.score(cell, {}, {}, test, trust=False)
    except Refused as error:
        return "\n".join(finding.what for finding in error.findings)
    return ""


def two_levels(noise: float) -> EvaluationState:
    """Logits of 200 images of two classes, most of one class, on two levels but for noise of that share of them."""
    drawn = torch.Generator().manual_seed(0)
    side = torch.where(torch.rand(200, generator=drawn) < 0.95, 1.0, -1.0)
    scores = side + noise * torch.randn(200, generator=drawn)
    return EvaluationState(logits={"upright": torch.stack([-scores, scores], 1)})


def counting(cell: Cell, *, auc: bool = True) -> Cell:
    """The cell of a benchmark that counts the AUC, or does not."""
    card = cell.card.model_copy(update={"evaluation": cell.card.evaluation.model_copy(update={"auc": auc})})
    return replace(cell, registry=replace(cell.registry, benchmarks={**cell.registry.benchmarks, "tiny": card}))


@pytest.mark.parametrize("auc", [True, False])
def test_an_order_that_float_noise_decides_is_refused_where_the_auc_counts_it(
    cell: Cell, monkeypatch: pytest.MonkeyPatch, auc: bool
) -> None:
    """No class is a tie, and within each level the order is free: a bundle could state the AUC that it likes."""
    ranked = counting(cell, auc=auc)
    told = refused(ranked, monkeypatch, two_levels(1e-6))
    assert ("of the 10,000 pairs of images that the AUC counts" in told) is auc
    assert refused(ranked, monkeypatch, two_levels(0.1)) == ""


LABELS = torch.arange(200) % 2


def partly_dead(dead: int) -> EvaluationState:
    """Logits of 200 images of two classes, to the first of which a network gives its last bias alone."""
    drawn = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    return EvaluationState(logits={"upright": torch.cat([torch.tensor([[0.3, -0.2]]).expand(dead, 2), drawn[dead:]])})


@pytest.mark.parametrize("dead", [60, 200])
def test_a_seed_that_learnt_nothing_blocks_no_entry(cell: Cell, monkeypatch: pytest.MonkeyPatch, dead: int) -> None:
    """No seed may be left out, and scores that are equal to the bit are ties, which the AUC counts one half."""
    ranked, found = counting(cell), partly_dead(dead)
    assert refused(ranked, monkeypatch, found) == ""
    assert other(ranked, monkeypatch, found, found) == ""


def test_no_bundle_orders_what_is_equal(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept logits that tell the dead images apart by less than the noise would have their AUC for the asking."""
    found, forged = partly_dead(60), partly_dead(60)
    forged.logits["upright"][:60, 1] += 1e-6 * LABELS[:60]
    assert list(differences(forged, found)) == [], "they are within the noise"
    told = other(counting(cell), monkeypatch, forged, found)
    assert "900 tied, and 0 that float noise may order, not" in told
    assert other(cell, monkeypatch, forged, found) == "", "where no AUC is counted"


def test_few_equal_pairs_may_be_apart_elsewhere(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    """As of one image twice, computed in another batch: 25 pairs of 10,000."""
    found, moved = partly_dead(10), partly_dead(10)
    moved.logits["upright"][:10, 1] += 1e-6 * LABELS[:10]
    assert other(counting(cell), monkeypatch, moved, found) == ""


def other(cell: Cell, monkeypatch: pytest.MonkeyPatch, kept: EvaluationState, found: EvaluationState) -> str:
    """What `verify bundle` finds in outputs that state their own counts, where its weights give the other ones here."""
    stated: Any = SimpleNamespace(counts=counts_of(cell, kept, LABELS), weights=None)
    test = Part(torch.zeros(200, 1, 8, 8, dtype=torch.uint8), LABELS)
    monkeypatch.setattr(verifying, "shares", lambda *_: SimpleNamespace(test=test))
    monkeypatch.setattr(verifying, "_outputs", lambda *_: kept)
    monkeypatch.setattr(verifying, "_read", lambda *_: save({}))
    monkeypatch.setattr(verifying, "_other_measurements", lambda *_: ())
    monkeypatch.setattr(verifying, "score", lambda *_, **__: SimpleNamespace(evaluation=found, measured=None))
    bundle: Any = SimpleNamespace(submission=SimpleNamespace(code={}))
    return "\n".join(finding.what for finding in verifying._rescored(bundle, cell, stated, False))


class BesideOthers(nn.Module):
    """A network that looks at its neighbours in the batch, behind a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(64, 10)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(images.flatten(1))
        return logits - logits.mean(0) + 1e4


def test_a_constant_hides_no_dependence_on_the_batch(cell: Cell) -> None:
    test = prepare_material(cell, torch.device("cpu")).test
    network = BesideOthers()
    found = {finding.check for finding in scoring_findings(network, test, None, contents(network))}
    assert "batch-independence" in found
