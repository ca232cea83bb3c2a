"""Networks that come trained are scored, in a division of their own that no ranking shares."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gcnnbench.cli.app import build_app
from gcnnbench.errors import UserError
from gcnnbench.runs.store import Store
from gcnnbench.runs.weights_only import read_weights_only
from gcnnbench.submissions.accepting import accept
from gcnnbench.submissions.containment import isolation
from gcnnbench.submissions.folder import read_submission
from gcnnbench.submissions.submitting import submit
from gcnnbench.submissions.verifying import verify_bundle

pytestmark = pytest.mark.skipif(isolation().kind == "none", reason=f"no isolation here: {isolation().reason}")


@pytest.fixture(scope="module")
def scored(packed: Path, mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle of weights: those of seed 0 of the trained bundle, brought as somebody's own."""
    parent = tmp_path_factory.mktemp("brought")
    folder = parent / "mynet"
    shutil.copytree(packed / "models" / "mynet", folder)
    shutil.copyfile(packed / "results" / "mini@1" / "mynet@12" / "seed-0.safetensors", folder / "weights.safetensors")
    card = folder / "model.yaml"
    card.write_text(card.read_text() + "trained_on: the training images of mini\n")
    bundle = parent / "mynet.bundle"
    submit(read_submission(folder, [mini]), Path("unused"), bundle, lambda _: None)
    return bundle


def test_weights_score_what_the_record_of_their_training_says(scored: Path, packed: Path) -> None:
    ((_, found),) = read_weights_only(scored / "results")
    assert not isinstance(found, str)
    record = json.loads((packed / "results" / "mini@1" / "mynet@12" / "seed-0.json").read_text())
    assert found.metrics == record["metrics"]
    assert found.protocol == {key: value for key, value in record["spec"].items() if key != "recipe"}
    assert found.trained_on == "the training images of mini"


def test_they_are_accepted_into_a_table_of_their_own(scored: Path, mini: Path, tmp_path: Path) -> None:
    report = verify_bundle(scored, Path("unused"), include=[mini])
    assert [measured.grade for measured in report.measured] == ["re-scored"]
    accept(report, tmp_path / "models", tmp_path / "results", [mini])
    words = ["leaderboard", "mini", "--results", tmp_path / "results", "--include", mini]
    shown = CliRunner().invoke(build_app(), [*map(str, words), "--include", str(tmp_path / "models" / "mynet")])
    assert shown.exit_code == 0
    ranked, own = shown.stdout.split("Weights-only: ")
    assert "mynet@12" not in ranked
    assert "| mynet@12 | exact" in own
    assert "mynet@12 came trained (re-scored); its authors declare: the training images of mini" in own
    registry = read_submission(tmp_path / "models" / "mynet", [mini]).registry
    assert "mynet@12" not in registry.benchmark("mini").entries, "a network that comes trained is never trained here"
    assert not list(Store(tmp_path / "results").results.glob("mini@1/mynet@12/seed-*"))


def test_what_came_trained_is_not_trained_again_without_a_word(scored: Path, mini: Path) -> None:
    with pytest.raises(UserError, match="trained elsewhere; nobody can train them again: no --retrain"):
        verify_bundle(scored, Path("unused"), retrain=1, include=[mini])
