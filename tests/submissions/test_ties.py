"""Logits that all move alike, or one class that is never chosen, make no room for other outputs and hide nothing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.cards.registry import Registry
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import prepare_material
from gcnnbench.scoring.conditions import EvaluationState
from gcnnbench.submissions import rescoring
from gcnnbench.submissions.contained.metamorphic import contents, scoring_findings
from gcnnbench.submissions.findings import Refused
from gcnnbench.submissions.rescoring import differences
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
    report = SimpleNamespace(after="", parameters=1, macs=1, probes=None, test_seconds=1.0, scored=1)
    monkeypatch.setattr(rescoring, "run_job_or_refuse", lambda *_: SimpleNamespace(report="", tensors={}))
    monkeypatch.setattr(rescoring, "read_report", lambda *_: report)
    monkeypatch.setattr(rescoring, "evaluation_of", lambda *_: outputs(offset))
    with pytest.raises(Refused, match=r"two classes are equal but for float noise for .* of 200 images"):
        rescoring.score(cell, {}, {}, torch.zeros(200, 1, 8, 8, dtype=torch.uint8), trust=False)


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
