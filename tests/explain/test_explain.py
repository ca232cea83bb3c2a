"""From a cell to its bytes: counts, formulae, files, provenance and claims, and what cannot be explained."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.claims import ClaimsCard
from gcnnbench.claims.quantities import published
from gcnnbench.claims.reading import read_claims
from gcnnbench.cli.app import build_app
from gcnnbench.compare.revision import in_history
from gcnnbench.errors import UserError
from gcnnbench.explain.explanation import Explanation
from gcnnbench.explain.lineage import explain
from gcnnbench.explain.metric_counts import tally
from gcnnbench.explain.text import explanation_as_json, explanation_as_text
from gcnnbench.runs.provenance import commit
from gcnnbench.runs.spec import spec, spec_digest
from gcnnbench.scoring.metrics import metrics
from gcnnbench.statistics import binomial_error, pooled, sample_std, summary

if TYPE_CHECKING:
    from tests.toy_records import Toy

ENTRY = "p4cnn@28"
IMAGES = 60_000
"""What the MNIST study tests on."""
UPRIGHT = [0.976, 0.978, 0.98]
WEIGHTS = b"weights"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


@pytest.fixture(scope="module")
def claims(registry: Registry) -> list[ClaimsCard]:
    return read_claims(registry)


@pytest.fixture(autouse=True)
def _claims_are_read_once(claims: list[ClaimsCard], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gcnnbench.explain.lineage.read_claims", lambda _: claims)


@pytest.fixture
def kept(registry: Registry, toy: Toy, tmp_path: Path) -> Path:
    """Three seeds of a network of the MNIST study; seed 0 has its weights, seed 1 those of somebody else."""
    card = registry.benchmark("mnist-upright@1")
    protocol = spec(registry, card, ENTRY)
    weights = {"sha256": hashlib.sha256(WEIGHTS).hexdigest(), "bytes": len(WEIGHTS), "committed": True}
    common: dict[str, Any] = {"benchmark": card.full_name, "spec": protocol, "spec_digest": spec_digest(protocol)}
    for seed, upright in enumerate(UPRIGHT):
        path = toy.write(tmp_path, toy.record(ENTRY, seed, upright, upright, **common, weights=weights))
        if seed < 2:
            path.with_suffix(".safetensors").write_bytes(WEIGHTS if seed == 0 else b"others")
    limited = toy.record(ENTRY, 3, 0.5, 0.5, **common, official=False, unofficial_because="--limit 8")
    toy.write(tmp_path, limited, "seed-3.unofficial.json")
    return tmp_path


def explained(kept: Path, registry: Registry, metric: str | None = None, seed: int | None = None) -> Explanation:
    return explain(registry, kept, "mnist-upright@1", ENTRY, metric, seed)


def test_every_metric_is_the_quotient_of_its_tally(toy: Toy) -> None:
    counts = toy.record(upright=0.93, turned=0.61, auc=0.97).counts
    for seen in (["upright"], ["upright", "rot180"], ["upright", "rot90", "rot180", "rot270"]):
        for name, value in metrics(counts, seen, invariance_error=0.5).items():
            found = tally(name, counts, seen)
            if value is None or name == "invariance_error":
                assert found is None
            else:
                assert found is not None
                assert found.part / found.total == pytest.approx(value, abs=1e-15)
    unseen = tally("accuracy.unseen", counts, ["upright", "rot180"])
    assert unseen is not None
    assert unseen.fields == ("counts.elements.rot90", "counts.elements.rot270")
    assert (unseen.part, unseen.total) == (1220, 2000)
    pairs = tally("auc", counts, ["upright"])
    assert pairs is not None
    assert (pairs.part, pairs.total) == (2 * 242_500, 2 * 500 * 500)


def test_the_number_and_what_it_is_made_of(kept: Path, registry: Registry) -> None:
    found = explained(kept, registry, "upright")
    assert found.metric == "accuracy.upright"
    assert found.summary == summary(UPRIGHT)
    assert found.test_set_error == binomial_error(summary(UPRIGHT).mean, IMAGES)
    assert [(value.tally.part, value.tally.total) for value in found.values if value.tally] == [
        (58_560, IMAGES),
        (58_680, IMAGES),
        (58_800, IMAGES),
    ]
    for seed, value in enumerate(found.values):
        assert value.sha256 == hashlib.sha256((kept / value.record).read_bytes()).hexdigest()
        assert value.record == f"mnist-upright@1/{ENTRY}/seed-{seed}.json"
    assert [value.weights.state for value in found.values] == ["here", "altered", "not here"]
    assert found.missing == (3, 4)
    assert [(value.seed, value.excluded) for value in found.not_counted] == [(3, "unofficial")]
    assert found.spec_is_current
    assert found.data == {part: registry.dataset("mnist").parts[part].digest for part in ("test", "train")}
    assert {file.path for file in found.data_files} == {file.path for file in registry.dataset("mnist").files}


def test_the_claims_about_it_are_judged_and_cited(kept: Path, registry: Registry) -> None:
    found = explained(kept, registry)
    claim = next(row for row in found.claims if row.id == "upright-p4-28-at-0")
    print_ = published(97.6906, 0.1694, "population", 100, "accuracy-percent")
    assert print_.std == pytest.approx(sample_std(0.1694, 100) / 100)
    test = pooled(summary(UPRIGHT), print_, 0.9)
    assert claim.judgement.interval == test.interval
    assert {row.quantity for row in found.claims} <= {"accuracy.upright", "identical"}
    assert all(ENTRY in row.entries and row.benchmark == "mnist-upright" for row in found.claims)
    assert found.sources["edixhoven2023"].startswith("@inproceedings{edixhoven2023")
    assert "    published 97.69 ± 0.17 %, n = 100\n" in explanation_as_text(found)
    curve = explanation_as_text(explained(kept, registry, "curve mean"))
    assert "published 36 points" not in curve, "the difference is at one of them"
    assert re.search(r"published \d+\.\d\d ± \d\.\d\d % at \d+, n = 100\n", curve)
    turned = explained(kept, registry, "accuracy.rot90")
    assert "accuracy.quarter_turns" in {row.quantity for row in turned.claims}
    assert "accuracy.angle" in {row.quantity for row in explained(kept, registry, "curve mean").claims}


def test_it_reads_well_in_100_columns_and_parses(kept: Path, registry: Registry) -> None:
    found = explained(kept, registry, "accuracy.upright")
    text = explanation_as_text(found)
    ours = text.partition("@inproceedings")[0].replace(str(kept), "")
    assert not [line for line in ours.splitlines() if len(line) > 100 and len(line.split()) > 1]
    for piece in (
        "97.80 ± 0.20 % (n = 3 of 5 seeds)",
        "seed 1: 0.978 = 58,680 / 60,000",
        "s = √(Σ (xᵢ − m)² / (n − 1)) = 0.002000",
        "seeds 3–4: no record that counts",
        "here, and it is that file",
        "ALTERED",
        "not here",
        "seed-3.unofficial.json: unofficial",
        "@inproceedings{edixhoven2023",
        str(registry.dataset("mnist").parts["train"].digest),
    ):
        assert piece in text
    document = json.loads(explanation_as_json(found))
    assert document["values"][2]["tally"] == {
        "part": 58_800,
        "total": IMAGES,
        "fields": ["counts.elements.upright"],
        "formula": "right / shown",
    }
    assert {claim["verdict"] for claim in document["claims"]} <= {"reproduced", "refuted", "inconclusive", "not run"}


def test_a_mean_over_conditions_of_the_same_images_has_at_most_that_error(kept: Path, registry: Registry) -> None:
    assert "at most √(m (1 − m) / N)" in explanation_as_text(explained(kept, registry, "orbit"))
    assert "at most √(m (1 − m) / N)" not in explanation_as_text(explained(kept, registry, "upright"))
    assert explained(kept, registry, "invariance_error").test_set_error is None


def test_one_seed_alone_counted_or_not(kept: Path, registry: Registry) -> None:
    found = explained(kept, registry, "upright", seed=3)
    assert found.summary is None
    assert [(value.value, value.excluded) for value in found.values] == [(0.5, "unofficial")]
    text = explanation_as_text(found)
    assert "seed 3: 0.5 = 30,000 / 60,000  (not counted: unofficial)" in text
    assert "Claims" not in text


def test_a_seed_is_explained_by_the_record_of_this_version(kept: Path, registry: Registry, toy: Toy) -> None:
    """Records of two versions of the same seed stand side by side; the older one is explained under its own name."""
    card = registry.benchmark("mnist-upright")
    protocol = spec(registry, card, ENTRY)
    common: dict[str, Any] = {"benchmark": card.full_name, "spec": protocol, "spec_digest": spec_digest(protocol)}
    toy.write(kept, toy.record(ENTRY, 1, 0.95, 0.95, **common))
    found = explain(registry, kept, "mnist-upright", ENTRY, "upright", 1)
    assert ([value.value for value in found.values], found.spec_is_current) == ([0.95], True)
    assert found.test_set_error == binomial_error(0.95, IMAGES)
    assert [(value.seed, value.value, value.excluded) for value in found.not_counted] == [(1, 0.978, "superseded")]
    assert [value.value for value in explained(kept, registry, "upright", seed=1).values] == [0.978]
    told = r"no record of seed 0 of mnist-upright@2 \(seeds with one: 1\): .*; there are records of mnist-upright@1"
    with pytest.raises(UserError, match=told):
        explain(registry, kept, "mnist-upright", ENTRY, "upright", 0)


def test_the_folds_are_those_that_were_tested(kept: Path, registry: Registry) -> None:
    crossed = replace(explained(kept, registry, "upright"), folds=3)

    def told(found: Explanation) -> str:
        return " ".join(explanation_as_text(found).split())

    assert "images of 3 folds, one a seed; s holds the choice of images, too" in told(crossed)
    assert "images of 2 of 3 folds, one a seed;" in told(replace(crossed, values=crossed.values[:2]))
    one = told(replace(crossed, values=crossed.values[:1], summary=None))
    assert "images of 1 of 3 folds: what another one of that size would change; not in s" in one


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("mnist-uprigth", ENTRY), "there is no benchmark 'mnist-uprigth'; did you mean mnist-upright"),
        (("mnist-upright@9", ENTRY), "the registry has mnist-upright@2, mnist-upright@1"),
        (("mnist-upright@1", "p4cnn@31"), "p4cnn@31 is no entry of mnist-upright@1; did you mean p4cnn@"),
        (
            ("mnist-upright@1", "p4cnn@29"),
            "no record of mnist-upright@1 that counts: it is superseded by version 2 and no longer run",
        ),
        (("mnist-upright@1", ENTRY, "uprigth"), "there is no metric 'uprigth'"),
        (("mnist-upright@1", ENTRY, "auc"), "auc is not defined for p4cnn@28 in mnist-upright@1; one of accuracy"),
        (("mnist-upright@1", ENTRY, None, 4), r"no record of seed 4 of mnist-upright@1 \(seeds with one: 0, 1, 2, 3\)"),
    ],
)
def test_what_cannot_be_explained_says_what_could(
    kept: Path, registry: Registry, arguments: tuple[Any, ...], told: str
) -> None:
    with pytest.raises(UserError, match=told):
        explain(registry, kept, *arguments)


def test_a_record_that_is_not_counted_is_named_where_nothing_is(kept: Path, registry: Registry) -> None:
    for seed in range(3):
        (kept / f"mnist-upright@1/{ENTRY}/seed-{seed}.json").unlink()
    with pytest.raises(UserError, match="not counted are seed 3: unofficial; --seed explains them"):
        explained(kept, registry)


def test_a_record_whose_spec_was_edited_is_not_explained(kept: Path, registry: Registry) -> None:
    path = kept / f"mnist-upright@1/{ENTRY}/seed-1.json"
    path.write_text(path.read_text("utf-8").replace('"epochs": 50', '"epochs": 60'), encoding="utf-8")
    assert explained(kept, registry).missing == (1, 3, 4), "no table counts it"
    with pytest.raises(UserError, match=r"seed-1.json contradicts itself: spec: it does not have the digest"):
        explained(kept, registry, seed=1)


def test_commits_are_looked_for_in_the_history() -> None:
    head, _ = commit()
    if head is None:
        pytest.skip("no git checkout, so there is no history to look in")
    assert in_history(head) is True
    assert in_history("0" * 40) is False


def test_the_verb_prints_one_document(kept: Path) -> None:
    words = ["explain", "mnist-upright@1", ENTRY, "unseen", "--results", str(kept)]
    result = CliRunner().invoke(build_app(), [*words, "--format", "json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["metric"] == "accuracy.unseen"
    assert CliRunner().invoke(build_app(), words).stdout.startswith("mnist-upright@1  p4cnn@28  accuracy.unseen: 97.80")
