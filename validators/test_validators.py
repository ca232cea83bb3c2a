"""Every export is accepted by its format's own validator or reader."""

from __future__ import annotations

import json
from pathlib import Path

import mlcroissant
import pytest
import yaml
from google.protobuf import json_format
from huggingface_hub import ModelCard
from huggingface_hub._eval_results import eval_result_entries_to_yaml, parse_eval_result_entries
from in_toto_attestation.v1 import statement_pb2
from in_toto_attestation.v1.statement import Statement
from rocrate.rocrate import ROCrate

from gcnnbench.cards.registry import Registry
from gcnnbench.explain.explanation import Explanation
from gcnnbench.explain.lineage import explain
from gcnnbench.exports.croissant import croissant
from gcnnbench.exports.huggingface import eval_results, model_card
from gcnnbench.exports.in_toto import statement
from gcnnbench.exports.ro_crate import METADATA, ro_crate
from gcnnbench.record_checks.recomputing import verify_records
from gcnnbench.record_checks.rows import Chosen
from gcnnbench.submissions.manifest import MANIFEST, Trial, entry_of, sealed

RESULTS = Path(__file__).parents[1] / "results"
REGISTRY = Registry.load()


@pytest.fixture(scope="module")
def found() -> Explanation:
    return explain(REGISTRY, RESULTS, "quickstart", "p4cnn@12")


def test_evaluation_results_go_through_the_hubs_reader_unchanged(found: Explanation) -> None:
    data = yaml.safe_load(eval_results(found, "someone/digits", revision="a" * 40, url="https://example.org/results"))
    entries = parse_eval_result_entries(data)
    assert eval_result_entries_to_yaml(entries) == data
    assert entries[0].value == (found.summary.mean if found.summary else None)
    assert entries[0].dataset_id == "someone/digits"


def test_a_model_card_is_read_by_the_hub(found: Explanation) -> None:
    card = ModelCard(model_card(REGISTRY, found, "## Equivariance\n\nexact at 12"))
    assert card.data["license"] == "apache-2.0"
    assert "p4" in card.data["tags"]
    assert "## Equivariance" in card.text


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")  # of rdflib, by mlcroissant
@pytest.mark.parametrize("name", list(REGISTRY.datasets))
def test_croissant_finds_no_error_in_a_data_sets_card(name: str) -> None:
    dataset = mlcroissant.Dataset(jsonld=json.loads(croissant(REGISTRY, name)))
    assert not dataset.metadata.ctx.issues.errors
    assert dataset.metadata.name == name


def test_an_in_toto_statement_is_valid_and_names_files_by_their_digests(found: Explanation) -> None:
    rows = verify_records(REGISTRY, RESULTS, Chosen(found.benchmark, (found.entry,)))
    text = statement(found, rows)
    read = Statement.copy_from_pb(json_format.Parse(text, statement_pb2.Statement()))
    read.validate()
    assert len(read.pb.subject) == 2 * len(found.values)
    assert read.pb.predicate["result"] == "PASSED"


def test_a_bundle_is_an_ro_crate(tmp_path: Path) -> None:
    files = {"models/mini/model.py": b"code", "results/quickstart@1/mini@12/seed-0.json": b"{}"}
    trials = (Trial(benchmark="quickstart@1", entry="mini@12", seeds=(0,)),)
    contents = {name: entry_of(content) for name, content in files.items()}
    manifest = sealed("mini", "trained", trials, {"gcnnbench": "0.1.0"}, contents)
    for name, content in {**files, MANIFEST: b"{}"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / METADATA).write_text(ro_crate(manifest, "Apache-2.0", "2026-11-27"))
    crate = ROCrate(tmp_path)
    assert {one.id for one in crate.data_entities} == {MANIFEST, *files}
    assert crate.dereference("results/quickstart@1/mini@12/seed-0.json")["sha256"] == (
        contents["results/quickstart@1/mini@12/seed-0.json"].sha256
    )
    assert crate.dereference("#run").type == "CreateAction"
