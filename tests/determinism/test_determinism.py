"""The determinism audit: what repeats and what does not, what is kept, and a broken pair of packages in one line."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from gcnnbench.cards.registry import Registry
from gcnnbench.cli.app import build_app
from gcnnbench.determinism import audit, packages
from gcnnbench.determinism.audit import Audit, audit_machine, keep, kept_path, known_noise
from gcnnbench.determinism.float_noise import logits
from gcnnbench.determinism.packages import torchvision_problem
from gcnnbench.determinism.text import audit_as_text
from gcnnbench.runs.cell import Cell

TINY = Path(__file__).parents[1] / "runs" / "tiny.yaml"


@pytest.fixture(autouse=True)
def few_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "IMAGES", 32)


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return Cell(Registry.load([TINY]), "tiny", "z2cnn@8", 0, "cpu", 1, tmp_path)


def test_this_machine_repeats_its_bits_and_the_noise_is_kept(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "BATCHES", (128, 7))
    found = audit_machine([cell])
    (entry,) = found.entries
    assert found.problems == ()
    assert entry.training_repeats
    assert entry.steps >= 2
    assert {(way.threads, way.batch_size) for way in entry.variations} >= {(1, 128), (1, 7), (2, 7)}
    assert entry.variations[0].difference == 0
    assert 0 < entry.noise < 1e-4
    keep(tmp_path, found)
    assert Audit.model_validate_json(kept_path(tmp_path, "cpu").read_bytes()) == found
    assert known_noise(tmp_path, "cpu") == entry.noise
    assert "No problem found." in audit_as_text(found)


@pytest.mark.parametrize("change", [{"device_name": "another"}, {"versions": {"torch": "1.0"}}])
def test_noise_of_another_machine_or_torch_is_not_used(
    cell: Cell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, object]
) -> None:
    monkeypatch.setattr(audit, "BATCHES", (128, 1))
    monkeypatch.setattr(audit, "_threads", lambda _: [1])
    keep(tmp_path, audit_machine([cell]).model_copy(update=change))
    assert known_noise(tmp_path, "cpu") == 0
    kept_path(tmp_path, "cpu").write_text("{}", "utf-8")
    assert known_noise(tmp_path, "cpu") == 0
    assert known_noise(tmp_path / "nothing", "cpu") == 0


def unrepeatable(scoring: nn.Module, shown: Callable[[slice], Tensor], images: int, *ways: int) -> Tensor:
    """Scoring that adds noise of its own."""
    found = logits(scoring, shown, images, *ways)
    return found + torch.rand_like(found) * 1e-6


def test_bits_that_do_not_repeat_are_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "logits", unrepeatable)
    monkeypatch.setattr(audit, "_threads", lambda _: [1])
    words = ["doctor", "--benchmark", "tiny", "--entry", "z2cnn@8", "--device", "cpu", "--format", "json"]
    result = CliRunner().invoke(build_app(), [*words, "--include", str(TINY), "--results", str(tmp_path)])
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["entries"][0]["training_repeats"]
    assert document["problems"][0] == "z2cnn@8: scoring twice with 1 thread in batches of 128 gives other bits"
    assert "PROBLEM  z2cnn@8: scoring twice" in audit_as_text(Audit.model_validate_json(result.stdout))


def test_training_that_does_not_repeat_is_a_problem(cell: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "BATCHES", (128, 1))
    monkeypatch.setattr(audit, "_threads", lambda _: [1])
    seeds = iter((0, 1))
    trained = audit._trained
    monkeypatch.setattr(audit, "_trained", lambda cell, device: trained(replace(cell, seed=next(seeds)), device))
    (problem,) = audit_machine([cell]).problems
    assert "training steps made twice give other bits" in problem


def test_the_installed_pair_fits() -> None:
    assert torchvision_problem() is None


def test_a_pair_that_does_not_fit_is_explained_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    versions = {"torch": "2.12.1+cpu", "torchvision": "0.27.1"}
    monkeypatch.setattr(packages, "version", versions.__getitem__)
    monkeypatch.setattr(packages, "requires", lambda _: ["numpy", "torch==2.11.0"])
    told = torchvision_problem() or ""
    assert told.startswith("torchvision 0.27.1 is built for torch 2.11.0, but torch 2.12.1+cpu is installed; install")
    monkeypatch.setattr(packages, "requires", lambda _: ["torch (==2.12.1)"])

    def broken(name: str) -> None:
        raise RuntimeError("operator torchvision::nms does not exist\nmore")

    monkeypatch.setattr(importlib, "import_module", broken)
    told = torchvision_problem() or ""
    assert "does not load beside torch 2.12.1+cpu (operator torchvision::nms does not exist)" in told
    assert "\n" not in told
