"""`probe` on committed records: perfect for exact networks, beside untrained controls and another seed's merge."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from gcnnbench.cards.registry import Registry
from gcnnbench.cli import main
from gcnnbench.errors import UserError
from gcnnbench.record_checks import weight_probes
from gcnnbench.record_checks.weight_probes import Layer, Merge, Probed, probe_records
from gcnnbench.record_checks.weight_probes_text import as_markdown, reading
from gcnnbench.runs.cell import Cell

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
    assert (found.notes, found.images) == ([], 60)
    for entry in ("p4cnn@12", "p4cnn-subsample@11"):
        exact = [layer for layer in found.layers if layer.entry == entry]
        assert len(exact) == 14
        assert all(layer.trained == pytest.approx((1, 1), abs=1e-6) and layer.seeds == (0, 1) for layer in exact)
    ordinary = {(one.layer, one.quantity): one for one in found.layers if one.entry == "z2cnn@12"}
    assert 0 < max(ordinary["relu4", "correlation"].trained) < 0.9
    assert 0 < max(ordinary["relu4", "correlation"].untrained or ()) < 0.9
    merges = {one.entry: one for one in found.merges}
    assert merges["p4cnn@12"].fresh == merges["p4cnn@12"].moved
    assert all(one.fresh == pytest.approx(one.moved, abs=0.01) for one in merges.values() if one.entry != "z2cnn@12")
    ordinary_merge = merges["z2cnn@12"]
    assert sum(ordinary_merge.fresh) - sum(ordinary_merge.moved) > 0.4
    assert len(ordinary_merge.other) == 2
    assert all(other < fresh for other, fresh in zip(ordinary_merge.other, ordinary_merge.fresh, strict=True))


def test_records_of_an_earlier_model_version_have_no_untrained_network_beside_them(tmp_path: Path) -> None:
    registry = Registry.load()
    card = registry.benchmark(QUICK).model_copy(update={"model_versions": {"p4cnn": 1}})
    earlier = replace(registry, benchmarks={**registry.benchmarks, "quickstart": card})
    weights = load_file(RESULTS / QUICK / "p4cnn@12" / "seed-0.safetensors")
    now, then = (
        weight_probes._read(Cell(cards, QUICK, "p4cnn@12", 0, "cpu", 1, tmp_path), "subspace", weights, 20)
        for cards in (registry, earlier)
    )
    assert now.trained == then.trained
    assert now.untrained is not None
    assert then.untrained is None


def test_the_pool_at_an_odd_size_shows_in_features_and_not_in_weights(tmp_path: Path) -> None:
    results = two_seeds(tmp_path / "results", "p4cnn@11")
    read = [
        probe_records(Registry.load(), results, [QUICK], name, tmp_path, images=60, seeds=(1,)).layers
        for name in ("alignment", "subspace")
    ]
    assert {one.seeds for layers in read for one in layers} == {(1,)}
    correlations = [one.trained[0] for one in read[0] if one.quantity == "correlation"]
    assert min(correlations[:2]) > 1 - 1e-9
    assert max(correlations[2:]) < 0.99
    assert all(one.trained[0] < 1e-12 for one in read[1] if one.quantity == "outside")


def test_an_entry_that_is_no_chain_is_named_and_the_others_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(network: object) -> object:
        raise UserError("add (Residual) stands in no chain")

    results = two_seeds(tmp_path / "results", "p4cnn@12")
    monkeypatch.setattr(weight_probes, "chain", refused)
    with pytest.raises(UserError, match=r"can read: quickstart@1 p4cnn@12: add \(Residual\) stands in no chain"):
        probe_records(Registry.load(), results, [QUICK], "subspace", tmp_path, images=20)


def test_tables_have_a_row_for_each_entry_and_what_is_rounded_says_so() -> None:
    layers = [
        Layer("b@1", "a@9", "relu1", "law", (0, 1), (1.0, 1.0), (0.5, 0.0)),
        Layer("b@1", "a@9", "relu2", "law", (0, 1), (0.25, 0.75), (1.0, 0.998)),
        Layer("b@1", "a@9", "relu3", "law", (0, 1), (0.25, 0.75), None),
    ]
    merge = Merge("b@1", "a@9", (0, 1), own=(0.9, 0.92), fresh=(0.9, 0.8), moved=(0.5, 0.6), other=())
    text = as_markdown(Probed("alignment", 8, 9, layers, [merge], ["b@1 c@9: no chain"]))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]
    assert rows[2] == ["law", "b@1", "a@9", "2", "1 (0.25)", "0.50 (>0.99)", "0.50 (–)"]
    assert rows[-1] == ["b@1", "a@9", "2", "91.0 ± 1.4", "85.0 ± 7.1", "55.0 ± 7.1", "+30.0 ± 14.1", "–"]
    assert text.endswith("- not read: b@1 c@9: no chain")
    assert [reading(one) for one in (0, 1e-12, 1e-3, -1e-3, -0.5, 0.999, 1.001)] == [
        *("0", "0", "<0.01", ">−0.01", "−0.50", ">0.99", "1.00")
    ]


def test_the_verb_prints_a_document_and_names_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = two_seeds(tmp_path / "results", "p4cnn@12")
    (results / QUICK / "p4cnn@12" / "seed-1.safetensors").unlink()
    with pytest.raises(SystemExit, match=r"^0$"):
        main(["probe", "subspace", str(results / QUICK), "--data", str(tmp_path), "--images", "20", "--format", "json"])
    document = json.loads(capsys.readouterr().out)
    assert {layer["quantity"] for layer in document["layers"]} == {"outside", "matched"}
    assert all(layer["seeds"] == [0] and layer["trained"][0] < 1e-12 for layer in document["layers"])
    assert document["notes"] == [f"{QUICK} p4cnn@12 seed 1: its weights are not here"]
    other = two_seeds(tmp_path / "other", "p4cnn@12")
    for message, words in {
        "is no folder": [str(tmp_path / "nowhere")],
        "holds no folder of": [str(tmp_path)],
        "are several results directories": [str(results), str(other / QUICK)],
        "write single seeds and ranges": [str(results), "--seeds", "first"],
    }.items():
        with pytest.raises(SystemExit):
            main(["probe", "alignment", *words])
        assert message in " ".join(capsys.readouterr().err.split())
    with pytest.raises(UserError, match="no probe 'degree' of weights: one of alignment, subspace"):
        probe_records(Registry.load(), results, [QUICK], "degree", tmp_path, images=20)
