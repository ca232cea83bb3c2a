"""`probe` on committed records: perfect for exact networks, beside untrained controls and another seed's merge."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.cli import main
from gcnnbench.errors import UserError
from gcnnbench.record_checks.probed import as_markdown, probe_records

RESULTS = Path(__file__).resolve().parents[2] / "results"
QUICK = "quickstart@1"


def two_seeds(folder: Path, *entries: str) -> Path:
    """A results directory with the first two seeds of these entries of the quickstart."""
    for entry in entries:
        for path in (RESULTS / QUICK / entry).glob("seed-[01].*"):
            (folder / QUICK / entry).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, folder / QUICK / entry / path.name)
    return folder


def test_exact_records_are_perfect_and_ordinary_ones_stand_beside_their_controls(tmp_path: Path) -> None:
    results = two_seeds(tmp_path / "results", "p4cnn@12", "z2cnn@12", "p4cnn-subsample@11")
    found = probe_records(Registry.load(), results, [QUICK], "alignment", tmp_path, images=60)
    assert any("pool (EquivariantMaxPool)" in note or "EquivariantMaxPool" in note for note in found.notes)
    exact = [layer for layer in found.layers if layer.entry == "p4cnn@12"]
    assert len(exact) == 14
    assert all(layer.trained == pytest.approx(1, abs=1e-6) and layer.seeds == 2 for layer in exact)
    ordinary = {(one.layer, one.quantity): one for one in found.layers if one.entry == "z2cnn@12"}
    assert 0 < ordinary["relu4", "correlation"].trained < 0.9
    assert 0 < ordinary["relu4", "correlation"].untrained < 0.9
    merges = {one.entry: one for one in found.merges}
    assert merges["p4cnn@12"].fresh == merges["p4cnn@12"].moved
    assert merges["z2cnn@12"].fresh - merges["z2cnn@12"].moved > 20
    assert merges["z2cnn@12"].other is not None
    text = as_markdown(found)
    assert "gap to another seed" in text
    assert "- not read: quickstart@1 p4cnn-subsample@11" in text


def test_the_verb_prints_a_document_and_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = two_seeds(tmp_path / "results", "p4cnn@12")
    (results / QUICK / "p4cnn@12" / "seed-1.safetensors").unlink()
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["probe", "subspace", str(results / QUICK), "--data", str(tmp_path), "--images", "20", "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    assert {layer["quantity"] for layer in document["layers"]} == {"outside", "matched"}
    assert all(layer["seeds"] == 1 and layer["trained"] < 1e-12 for layer in document["layers"])
    assert document["notes"] == [f"{QUICK} p4cnn@12 seed 1: its weights are not here"]
    for message, words in {"is no folder": [str(tmp_path / "nowhere")], "holds no folder of": [str(tmp_path)]}.items():
        with pytest.raises(SystemExit):
            main(["probe", "alignment", *words])
        assert message in " ".join(capsys.readouterr().err.split())
    with pytest.raises(UserError, match="no probe 'degree' of weights: one of alignment, subspace"):
        probe_records(Registry.load(), results, [QUICK], "degree", tmp_path, images=20)
