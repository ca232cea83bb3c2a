"""Claims: what cards may say, what our records say about them, and the registry's own cards."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from gcnnbench.cards.reading import CardsError
from gcnnbench.cards.registry import Registry
from gcnnbench.claims import judging
from gcnnbench.claims.claims import FOLDER, ClaimsCard, CurveClaim, NumberClaim
from gcnnbench.claims.evidence import gather, set_aside
from gcnnbench.claims.families import with_families
from gcnnbench.claims.judging import judge_claims
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.rows import ClaimRow, warn_of_edits, with_set_aside
from gcnnbench.claims.single_runs import published_runs
from gcnnbench.claims.summary import summary_text
from gcnnbench.claims.text import claims_as_json, claims_as_markdown
from gcnnbench.claims.tolerances import tolerances_since
from gcnnbench.claims.verdicts import Judgement
from gcnnbench.errors import UserError
from gcnnbench.runs.spec import spec_digest
from gcnnbench.statistics import holm, pooled, sample_std, summary, welch

if TYPE_CHECKING:
    from tests.toy_results import Study

NUMBER: dict[str, Any] = {
    "kind": "number",
    "id": "exact-upright",
    "benchmark": "toy",
    "entry": "p4cnn@28",
    "quantity": "accuracy.upright",
    "printed": "90.2 ± 0.2",
    "value": 90.2,
    "unit": "accuracy-percent",
    "spread": {"value": 0.2, "kind": "population"},
    "runs": 100,
    "where": "arXiv 1602.07576, Table 1, row P4CNN",
    "standing": "first-hand",
    "tolerance": "accuracy",
}
STATEMENT: dict[str, Any] = {
    "kind": "statement",
    "id": "statement",
    "benchmark": "toy",
    "where": "arXiv 1602.07576, abstract",
    "standing": "first-hand",
    "says": "So it is.",
}


def card(*claims: dict[str, Any], points: float = 1.0) -> dict[str, Any]:
    tolerance = {"points": points, "deviations": 1.0, "because": "a test"}
    return {
        "source": "cohen2016",
        "title": "Claims",
        "summary": "Made up.",
        "tolerances": {"accuracy": tolerance, "parameters": {"points": 0.0, "because": "a count"}},
        "claims": list(claims),
    }


def judged(study: Study, *claims: dict[str, Any], points: float = 1.0) -> list[ClaimRow]:
    parsed = ClaimsCard.model_validate_json(json.dumps(card(*claims, points=points)))
    return judge_claims(study.registry, [parsed], gather(study.registry, study.results))


def reading(**test: Any) -> dict[str, Any]:
    return {**STATEMENT, "readings": [{"name": "one", "printed": "as printed", "test": test}]}


def test_a_number_is_judged_with_pooled_variances_against_its_tolerance(study: Study) -> None:
    (row,) = judged(study, NUMBER)
    ours = summary([0.9, 0.902, 0.904])
    assert row.ours == ours
    assert row.published is not None
    assert row.published.std == pytest.approx(sample_std(0.2, 100) / 100)
    assert row.judgement.interval == pooled(ours, row.published, 0.9).interval
    assert row.judgement.welch == welch(ours, row.published, 0.9).interval
    assert (row.verdict, row.equality, row.tolerance) == ("reproduced", "compatible", 0.01)
    assert row.under == ("dropout-rate",)
    assert row.verdict_text == "reproduced, compatible (p = 1.000, Holm 1.000) under dropout-rate"
    assert (row.needed, row.devices, row.protocol) == (2, ("cpu",), "toy@2")
    far = {**NUMBER, "printed": "95.2 ± 0.2", "value": 95.2}
    assert judged(study, far)[0].verdict == "refuted"
    assert not judged(study, far)[0].fails, "it stands under an assumption"
    assert replace(judged(study, far)[0], under=()).fails


def test_an_undecided_number_says_what_would_decide(study: Study) -> None:
    wide = {**NUMBER, "printed": "90.0 ± 0.6", "value": 90.0, "spread": {"value": 0.6, "kind": "population"}}
    (row,) = judged(study, wide, points=0.5)
    assert (row.verdict, row.needed) == ("inconclusive", 10)
    assert row.next == "10 seeds would reproduce a true claim: gcnnbench run toy --entry p4cnn@28 --seeds 0-9"
    (row,) = judged(study, {**wide, "runs": 10}, points=0.5)
    assert (row.verdict, row.needed) == ("inconclusive", None)
    assert row.next.startswith("too few published runs")


def test_a_number_may_be_inconclusive_and_differ(study: Study) -> None:
    (row,) = judged(study, {**NUMBER, "printed": "89.4 ± 0.2", "value": 89.4}, points=0.8)
    assert row.verdict_text.startswith("inconclusive, and differs (p = ")
    third = {**NUMBER, "printed": "89.9 ± 0.2", "value": 89.9}
    alone, *_ = judged(study, third)
    many = [
        row for row in judged(study, third, *({**NUMBER, "id": f"true-{n}"} for n in range(5))) if row.id == alone.id
    ]
    assert (alone.equality, many[0].equality) == ("differs", "compatible"), "Holm, over the numbers of a benchmark"
    assert many[0].p_family == pytest.approx(6 * (alone.p_family or 0))


def test_a_row_that_is_not_comparable_is_no_test_of_a_family(study: Study) -> None:
    third = {**NUMBER, "printed": "89.9 ± 0.2", "value": 89.9}
    (alone,) = judged(study, third)
    among, *others = judged(study, third, *({**NUMBER, "id": f"n-{n}", "differs": ["other images"]} for n in range(5)))
    assert (among.p_family, among.equality) == (alone.p_family, "differs"), "five rows without a test said compatible"
    assert {(row.family, row.p_family, row.equality) for row in others} == {("", None, None)}

    primary = [
        ClaimRow(name, "cohen2016", "toy", (), "accuracy.upright", "", "table 1", "first-hand", primary=True)
        for name in ("a/one", "b/one")
    ]
    tested = replace(primary[0], judgement=Judgement("reproduced", p=0.03))
    apart = replace(primary[1], judgement=Judgement("not comparable", p=0.5))
    first, second = with_families([tested, apart])
    assert (first.verdict, first.p_family, second.p_family) == ("reproduced", 0.03, None)
    assert "| – " in next(line for line in claims_as_markdown([first, second]).splitlines() if "b/one" in line)


def test_a_p_reads_as_adjusted_only_where_it_is(study: Study) -> None:
    unseen = {"name": "greater", "quantity": "accuracy.quarter_turns", "more": ["p4cnn@28"], "less": ["p4cnn@27"]}
    text = claims_as_markdown(judged(study, reading(**unseen)))
    assert "| p (Holm) |" not in text
    assert "| p " in text


def test_repeats_counts_and_calibrations_do_not_count(study: Study) -> None:
    count = {**NUMBER, "id": "count", "quantity": "parameters", "printed": "24,990", "value": 24990, "unit": "count"}
    count |= {"spread": None, "runs": None, "tolerance": "parameters"}
    chosen = {**NUMBER, "id": "chosen", "calibrates": "dropout-rate"}
    again = {**NUMBER, "id": "again", "repeats": "exact-upright"}
    quantities = ["accuracy.upright", "accuracy.rot90", "accuracy.rot180", "accuracy.rot270"]
    exact = reading(name="identical", entries=["p4cnn@28"], quantities=quantities)
    broken = {**reading(name="identical", entries=["p4cnn@27"], quantities=quantities), "id": "broken"}
    rows = judged(study, NUMBER, count, chosen, again, exact, broken)
    assert [row.counted for row in rows] == ["evidence", "count", "calibration", "repeat", "construction", "evidence"]
    assert [row.verdict for row in rows] == ["reproduced"] * 2 + ["calibration"] + ["reproduced"] * 2 + ["refuted"]
    assert [bool(row.family) for row in rows] == [True, False, True, False, False, False]
    told = summary_text(rows)
    assert told.startswith("6 claims; 2 were tested and could have come out otherwise: 1 refuted, 1 reproduced. ")
    assert "if the one number or curve among them were true, 1.0 would be reproduced on average" in told
    assert "1 number of parameters: 1 reproduced; 1 identity by construction: 1 reproduced; 1 repeat" in told


def test_primary_statements_are_a_family_and_lead_the_table(study: Study) -> None:
    unseen = {"name": "greater", "quantity": "accuracy.quarter_turns", "more": ["p4cnn@28"], "less": ["p4cnn@27"]}
    upright = {"name": "greater", "quantity": "accuracy.upright", "more": ["p4cnn@27"], "less": ["p4cnn@28"]}
    claims = [NUMBER, {**reading(**unseen), "id": "unseen"}, {**reading(**upright), "id": "upright"}]
    content = {**card(*claims), "primary": ["unseen/one", "upright/one"]}
    parsed = ClaimsCard.model_validate_json(json.dumps(content))
    rows = judge_claims(study.registry, [parsed], gather(study.registry, study.results))
    assert [row.primary for row in rows] == [False, True, True]
    p = {row.id: row.judgement.p for row in rows}
    assert {row.id: row.p_family for row in rows if row.primary} == holm({key: p[key] for key in list(p)[1:]})
    text = claims_as_markdown(rows)
    assert text.index("unseen/one") < text.index("exact-upright")


def test_a_primary_statement_must_hold_in_its_family() -> None:
    row = ClaimRow("a/one", "cohen2016", "toy", (), "accuracy.upright", "", "table 1", "first-hand", primary=True)
    row = replace(row, judgement=Judgement("reproduced", p=0.03))
    others = [replace(row, id=f"b/{n}", judgement=Judgement("inconclusive", p=0.5)) for n in range(2)]
    (alone,), (among, *_) = with_families([row]), with_families([row, *others])
    assert [alone.verdict, among.verdict] == ["reproduced", "inconclusive"]
    assert among.p_family == pytest.approx(0.09)


def test_errors_become_accuracies_and_a_number_without_runs_is_a_single_run(study: Study) -> None:
    error = {**NUMBER, "printed": "9.8", "value": 9.8, "unit": "error-percent", "spread": None, "runs": None}
    (row,) = judged(study, error, points=3.0)
    assert row.published is not None
    assert row.published.mean == pytest.approx(0.902)
    assert row.verdict_text.startswith("reproduced (single-run), compatible (p = ")
    assert (row.needed, row.power) == (None, None), "nobody knows the spread of one run"


def test_verdicts_that_need_no_numbers(study: Study) -> None:
    uncovered = {**NUMBER, "benchmark": None, "entry": None, "not_covered": "no such network"}
    other = {**NUMBER, "differs": ["other images"]}
    unrun = {**NUMBER, "entry": "p4cnn@27"}
    for seed in range(3):
        study.path("p4cnn@27", seed).unlink()
    rows = [judged(study, claim)[0] for claim in (uncovered, other, unrun)]
    assert [(row.verdict, row.next) for row in rows] == [
        ("not covered", "no such network"),
        ("not comparable", "other images"),
        ("not run", "gcnnbench run toy --entry p4cnn@27"),
    ]


def test_a_record_of_another_protocol_says_where_it_differs(study: Study) -> None:
    data = json.loads(study.path().read_text("utf-8"))
    protocol = data["spec"]
    protocol["recipe"]["optimiser"]["weight_decay"] = 0.5
    for seed in range(3):
        study.edit("p4cnn@28", seed, spec=protocol, spec_digest=spec_digest(protocol))
    aside = set_aside(study.registry, study.results)
    (row,) = with_set_aside(judged(study, NUMBER), aside)
    why = "p4cnn@28: its record of seed 0 has another protocol: recipe.optimiser.weight_decay is 0.5, now 0.0"
    assert (row.verdict, row.next) == ("not run", f"gcnnbench run toy --entry p4cnn@28; {why}")
    assert [entry for _, entry in aside] == ["p4cnn@28"]


def test_the_number_of_parameters_is_right_or_wrong(study: Study) -> None:
    claim = {
        **NUMBER,
        "quantity": "parameters",
        "unit": "count",
        "spread": None,
        "runs": None,
        "tolerance": "parameters",
    }
    right, wrong = ({**claim, "printed": f"{count:,}", "value": count} for count in (24990, 24991))
    assert [row.verdict for row in judged(study, right)] == ["reproduced"]
    (row,) = judged(study, wrong)
    assert (row.verdict, row.under, row.fails) == ("refuted", (), True)


def test_counts_are_right_to_the_digits_that_are_printed(study: Study) -> None:
    count = {**NUMBER, "quantity": "parameters", "spread": None, "runs": None, "tolerance": "parameters"}
    for printed, value, unit, verdict in (
        ("24.99 k", 24.99, "thousands", "reproduced"),
        ("25.0 k", 25.0, "thousands", "reproduced"),
        ("0.025 M", 0.025, "millions", "reproduced"),
        ("24.9 k", 24.9, "thousands", "refuted"),
        ("0.02 M", 0.02, "millions", "reproduced"),
        ("0.03 M", 0.03, "millions", "refuted"),
    ):
        assert judged(study, {**count, "printed": printed, "value": value, "unit": unit})[0].verdict == verdict, printed


def test_a_spread_printed_as_a_fraction_is_scaled(study: Study) -> None:
    spread = {"value": 0.002, "kind": "sample", "unit": "fraction"}
    (row,) = judged(study, {**NUMBER, "printed": "90.2 ± 0.002", "spread": spread})
    assert row.published is not None
    assert row.published.std == pytest.approx(0.002)


def curve(study: Study, mean: list[float], seeds: int) -> ClaimRow:
    for seed in range(3, seeds):
        study.add(study.record("p4cnn@28", seed, 0.9 + seed % 3 / 500, 0.9 + seed % 3 / 500))
    points = {"at": [0, 90, 180, 270], "mean": mean, "deviation": [0.2] * 4, "deviation_kind": "sample", "runs": 100}
    shared = {key: NUMBER[key] for key in ("benchmark", "entry", "unit", "where", "standing", "tolerance")}
    (row,) = judged(study, {"kind": "curve", "id": "curve", "quantity": "accuracy.angle", **shared, **points})
    return row


def test_curves_are_judged_as_curves(study: Study) -> None:
    few = curve(study, [90.2, 90.2, 80.0, 90.2], seeds=3)
    assert (few.verdict, few.judgement.at, few.seeds) == ("refuted", 180, 3)
    assert few.judgement.p is None, "there are no single runs of this source"
    assert curve(study, [90.2] * 4, seeds=12).verdict == "reproduced"


def test_too_few_seeds_to_decide_a_curve_have_no_power(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    runs = np.random.default_rng(0).normal(0.902, 1e-5, (100, 4))
    monkeypatch.setattr(judging, "published_runs", lambda *_: runs)
    assert curve(study, [90.2] * 4, seeds=3).power == 1.0
    study.path("p4cnn@28", 2).unlink()
    few = curve(study, [90.2] * 4, seeds=2)
    assert (few.seeds, few.verdict, few.power, few.needed) == (2, "inconclusive", 0.0, 3)


def test_seeds_beyond_the_protocol_count_only_without_a_gap(study: Study) -> None:
    study.add(study.record("p4cnn@28", 3, 0.9, 0.9))
    study.add(study.record("p4cnn@28", 5, 0.99, 0.99))
    found = gather(study.registry, study.results)["toy", "p4cnn@28"]
    assert [one.run.seed for one in found] == [0, 1, 2, 3]


def test_statements_are_tested_by_differences(study: Study) -> None:
    unseen = {"name": "greater", "quantity": "accuracy.quarter_turns"}
    exact_wins = reading(**unseen, more=["p4cnn@28"], less=["p4cnn@27", "z2cnn@28"])
    approximate_wins = reading(**unseen, more=["p4cnn@27"], less=["p4cnn@28"])
    assert [judged(study, claim)[0].verdict for claim in (exact_wins, approximate_wins)] == ["reproduced", "refuted"]
    same = reading(name="equal", quantity="accuracy.upright", one="p4cnn@27", others=["z2cnn@28"], tolerance="accuracy")
    assert judged(study, same, points=3.0)[0].verdict == "reproduced"
    assert judged(study, same, points=0.01)[0].verdict == "refuted"
    assert judged(study, same, points=1.0)[0].id == "statement/one"
    assert judged(study, same, points=1.0)[0].tolerance == 0.01


def test_our_own_noise_widens_no_tolerance_of_a_statement(study: Study) -> None:
    for seed in range(12):
        study.add(study.record("p4cnn@27", seed, 0.9 if seed % 2 else 0.99, 0.6))
    same = reading(name="equal", quantity="accuracy.upright", one="p4cnn@27", others=["z2cnn@28"], tolerance="accuracy")
    assert judged(study, same, points=1.0)[0].verdict == "inconclusive", "seeds scatter by five points"


def test_identity_and_growth(study: Study) -> None:
    quantities = ["accuracy.upright", "accuracy.rot90", "accuracy.rot180", "accuracy.rot270"]
    exact, approximate = (
        reading(name="identical", entries=[e], quantities=quantities) for e in ("p4cnn@28", "p4cnn@27")
    )
    assert [judged(study, claim)[0].verdict for claim in (exact, approximate)] == ["reproduced", "refuted"]
    grows = reading(name="grows", entries=["p4cnn@27"])
    assert judged(study, grows)[0].verdict == "inconclusive", "errors before and after are one number here"
    for seed in range(3):
        error = 0.1 + seed / 100
        before = json.loads(study.path("p4cnn@27", seed).read_text("utf-8"))["equivariance"]["before"]
        study.edit("p4cnn@27", seed, equivariance__after__invariance_error=error, metrics__invariance_error=error)
        study.edit("p4cnn@27", seed, equivariance__relaxation__logits=error - before["invariance_error"])
    assert judged(study, grows)[0].verdict == "reproduced"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"value": 90.3}, "90.3 does not stand in '90.2 ± 0.2'"),
        ({"spread": {"value": 0.3, "kind": "sample"}}, "0.3 does not stand in"),
        ({"benchmark": None, "entry": None}, "not_covered why none can"),
        ({"entry": None}, "a benchmark and an entry go together"),
        ({"benchmark": "tory"}, "there is no benchmark 'tory'"),
        ({"entry": "p4cnn@31"}, "p4cnn@31 is no entry of toy"),
        ({"tolerance": "acuracy"}, "there is no tolerance 'acuracy'"),
        ({"surprise": 1}, "surprise"),
        ({"where": "authors' README"}, "OWNER/REPOSITORY@COMMIT:PATH"),
        ({"where": "tscohen/GrouPy at d0c148a"}, "OWNER/REPOSITORY@COMMIT:PATH"),
        ({"unit": "millions"}, "accuracy.upright and millions do not go together"),
        ({"repeats": "exact-uprigth"}, "'exact-uprigth' is no number of p4cnn@28 in toy"),
        ({"repeats": "exact-upright"}, "'exact-upright' is no number"),
        ({"calibrates": "dropout"}, "there is no assumption 'dropout'; did you mean dropout-rate"),
    ],
)
def test_mistakes_in_a_card_are_named_with_their_place(
    study: Study, tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    claim = {key: value for key, value in {**NUMBER, **change}.items() if value is not None}
    (tmp_path / "cohen2016.yaml").write_text(yaml.safe_dump(card(claim), allow_unicode=True), "utf-8")
    with pytest.raises(CardsError, match=r"cohen2016.yaml:\d+:\d+:") as caught:
        read_claims(study.registry, tmp_path)
    assert told in str(caught.value)


def test_curves_of_unequal_length_and_unmeasured_places_are_refused(study: Study, tmp_path: Path) -> None:
    shared = {key: NUMBER[key] for key in ("benchmark", "entry", "unit", "where", "standing", "tolerance", "runs")}
    claim = {"kind": "curve", "id": "curve", "quantity": "accuracy.angle", **shared, "deviation_kind": "sample"}
    for points, told in (
        ({"at": [0, 90], "mean": [1.0], "deviation": [0.1, 0.1]}, "must be equally long"),
        ({"at": [0, 45], "mean": [1.0, 1.0], "deviation": [0.1, 0.1]}, "45 is not measured in toy"),
    ):
        (tmp_path / "cohen2016.yaml").write_text(yaml.safe_dump(card({**claim, **points})), "utf-8")
        with pytest.raises(CardsError, match=told):
            read_claims(study.registry, tmp_path)


def test_the_registrys_claims_fit_the_registry() -> None:
    cards = read_claims(Registry.load())
    assert [card.source for card in cards] == sorted(path.stem for path in FOLDER.glob("*.yaml"))
    kinds = Counter(claim.kind for card in cards for claim in card.claims)
    assert {"number", "curve", "statement"} == set(kinds)
    assert not any("biased-40" in claim.id for card in cards for claim in card.claims), "kept apart for a blind check"


def test_a_primary_row_that_is_not_there_is_an_error(study: Study, tmp_path: Path) -> None:
    content = {**card(NUMBER), "primary": ["exact-upright/one"]}
    (tmp_path / "cohen2016.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    with pytest.raises(CardsError, match="there is no row 'exact-upright/one'"):
        read_claims(study.registry, tmp_path)


@pytest.mark.parametrize("row", ["exact-upright", "statement/one"])
def test_a_row_judged_by_equivalence_is_no_primary_one(study: Study, tmp_path: Path, row: str) -> None:
    same = reading(name="equal", quantity="accuracy.upright", one="p4cnn@27", others=["z2cnn@28"], tolerance="accuracy")
    content = {**card(NUMBER, same), "primary": [row]}
    (tmp_path / "cohen2016.yaml").write_text(yaml.safe_dump(content, allow_unicode=True), "utf-8")
    with pytest.raises(CardsError, match=f"'{row}' is judged by equivalence; primary rows are statements tested by"):
        read_claims(study.registry, tmp_path)


def test_curves_of_the_registry_are_those_of_the_single_runs_beside_them() -> None:
    found = 0
    for source in read_claims(Registry.load()):
        for claim in source.claims:
            if not isinstance(claim, CurveClaim):
                continue
            runs = published_runs(FOLDER / f"{source.source}.yaml", claim)
            assert runs is not None, claim.id
            found += 1
            assert len(runs) == claim.runs
            # The card rounds to three decimals what the logs print with two or four.
            assert 100 * runs.mean(axis=0) == pytest.approx(np.array(claim.mean), abs=6e-4)
            assert 100 * runs.std(axis=0) == pytest.approx(np.array(claim.deviation), abs=6e-4)
    assert found == 36
    assert "biased-40" not in (FOLDER / "edixhoven2023.runs.json").read_text("utf-8")


RUNS: dict[str, Any] = {"benchmark": "toy", "entry": "p4cnn@28", "quantity": "accuracy.angle", "per": 1000}


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"at": [0, 90, 180], "runs": [[900] * 3] * 2}, "the runs of p4cnn@28 say nothing at 270, where curve does"),
        (
            {"at": [0, 90, 180, 270], "runs": [[900] * 4, [900] * 3]},
            r"runs\[1\] must have a number at each of 4 places",
        ),
        ({"at": [0, 90, 180, 270], "runs": [[900] * 4, [1001] * 4]}, r"runs\[1\] .*none above per"),
        ({"at": [0]}, "runs: Field required"),
    ],
)
def test_single_runs_of_ones_own_that_do_not_fit_are_named(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, Any], told: str
) -> None:
    source = {"source": "cohen2016", "where": "my notes", "about": "my runs", "curves": [{**RUNS, **changed}]}
    (tmp_path / "cohen2016.runs.json").write_text(json.dumps(source), "utf-8")
    monkeypatch.setattr(judging, "claims_file", lambda *_: tmp_path / "cohen2016.yaml")
    with pytest.raises(UserError, match=told):
        curve(study, [90.2] * 4, seeds=3)


def test_numbers_computed_from_logs_are_those_of_the_single_runs() -> None:
    (source,) = (one for one in read_claims(Registry.load()) if one.source == "edixhoven2023")
    curves = {(c.benchmark, c.entry): c for c in source.claims if isinstance(c, CurveClaim) and "angle" in c.quantity}
    found = 0
    for claim in source.claims:
        if not isinstance(claim, NumberClaim) or claim.quantity == "parameters" or claim.entry is None:
            continue
        runs = published_runs(FOLDER / "edixhoven2023.yaml", curves[claim.benchmark, claim.entry])
        assert runs is not None
        assert claim.spread is not None
        values = {
            "accuracy.upright": runs[:, 0],
            "accuracy.curve_mean": runs.mean(axis=1),
            "accuracy.quarter_turns": runs[:, [9, 18, 27]].mean(axis=1),
        }[claim.quantity][: claim.runs]
        digits = 0.5 * 10.0 ** -len(claim.printed.split()[0].partition(".")[2]) if "note" in claim.id else 6e-5
        assert 100 * values.mean() == pytest.approx(claim.value, abs=1.2 * digits), claim.id
        assert 100 * values.std() == pytest.approx(claim.spread.value, abs=1.2 * digits), claim.id
        found += 1
    assert found == 52


def test_without_a_record_every_claim_has_its_reason(tmp_path: Path) -> None:
    registry = Registry.load()
    rows = judge_claims(registry, read_claims(registry), gather(registry, tmp_path))
    assert {row.verdict for row in rows} == {"not run", "not covered", "not comparable"}
    assert all(row.next for row in rows)
    assert not any(row.fails for row in rows)


def committing(folder: Path) -> Callable[..., None]:
    """Runs git in a folder, at a time."""

    def git(*arguments: str, at: str = "2024-01-01T00:00:00+00:00") -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        environment = {**os.environ, "GIT_COMMITTER_DATE": at, "GIT_AUTHOR_DATE": at}
        command = ["git", "-C", str(folder), *identity, *arguments]
        subprocess.run(command, check=True, env=environment, capture_output=True)

    return git


def test_an_edited_tolerance_is_flagged(study: Study, tmp_path: Path) -> None:
    path, git = tmp_path / "cohen2016.yaml", committing(tmp_path)

    def write(*claims: dict[str, Any], points: float = 1.0, **more: Any) -> None:
        content = card(*claims, points=points)
        content["tolerances"] |= more
        path.write_text(yaml.safe_dump(content), "utf-8")

    write(NUMBER)
    assert tolerances_since(path) == {}, "no history, no knowledge"
    git("init", "-q")
    git("add", "cohen2016.yaml")
    git("commit", "-q", "-m", "claims")
    first = {"exact-upright": datetime(2024, 1, 1, tzinfo=UTC)}
    assert tolerances_since(path) == first
    wide = {"points": 9.0, "because": "wider"}
    write({**NUMBER, "note": "a text"}, {**NUMBER, "id": "another", "tolerance": "wide"}, wide=wide)
    git("commit", "-q", "-a", "-m", "another claim with a tolerance of its own", at="2024-06-01T00:00:00+00:00")
    assert tolerances_since(path) == first | {"another": datetime(2024, 6, 1, tzinfo=UTC)}
    (tmp_path / "moved").mkdir()
    git("mv", "cohen2016.yaml", "moved/cohen2016.yaml")
    git("commit", "-q", "-m", "a move edits nothing", at="2024-09-01T00:00:00+00:00")
    path = tmp_path / "moved" / "cohen2016.yaml"
    assert tolerances_since(path) == first | {"another": datetime(2024, 6, 1, tzinfo=UTC)}
    write(NUMBER, points=9.0)
    assert tolerances_since(path)["exact-upright"] > datetime(2025, 1, 1, tzinfo=UTC), "an edit that is not committed"
    edits: dict[str, dict[str, Any]] = {
        "wider": {"points": 9.0},
        "another tolerance of the card": {"wide": wide},
        "a larger spread to multiply": {},
    }
    for edit, content in edits.items():
        claim = {**NUMBER, **({"tolerance": "wide"} if "another" in edit else {})}
        claim |= {"spread": {"value": 90.2, "kind": "sample"}} if "spread" in edit else {}
        write(claim, **content)
        git("commit", "-q", "-a", "-m", edit, at="2026-03-01T00:00:00+00:00")
        since = {"cohen2016": tolerances_since(path)}
        (warned,) = warn_of_edits(judged(study, NUMBER), since)
        assert "edited after these records were begun (2026-03-01" in warned.warning, edit
        write(NUMBER)
        git("commit", "-q", "-a", "-m", "back", at="2026-03-02T00:00:00+00:00")


def test_a_tolerance_that_stood_before_the_records_is_not_flagged(study: Study) -> None:
    rows = judged(study, NUMBER)
    early = {"exact-upright": datetime(2024, 1, 1, tzinfo=UTC)}
    histories: list[dict[str, dict[str, datetime]]] = [{"cohen2016": early}, {"cohen2016": {}}, {}]
    for since in histories:
        assert [row.warning for row in warn_of_edits(rows, since)] == [""]


def test_a_shallow_clone_says_nothing_of_when(tmp_path: Path) -> None:
    whole, git = tmp_path / "whole", committing(tmp_path / "whole")
    whole.mkdir()
    git("init", "-q")
    for points, year in ((1.0, 2024), (2.0, 2025)):
        (whole / "cohen2016.yaml").write_text(yaml.safe_dump(card(NUMBER, points=points)), "utf-8")
        git("add", "cohen2016.yaml")
        git("commit", "-q", "-m", "claims", at=f"{year}-01-01T00:00:00+00:00")
    assert tolerances_since(whole / "cohen2016.yaml") == {"exact-upright": datetime(2025, 1, 1, tzinfo=UTC)}
    git("clone", "-q", "--depth", "1", f"file://{whole}", str(tmp_path / "shallow"))
    assert tolerances_since(tmp_path / "shallow" / "cohen2016.yaml") == {}


def test_what_is_next_names_enough_seeds(study: Study) -> None:
    study.path("p4cnn@28", 2).unlink()
    assert curve(study, [90.2] * 4, seeds=0).next == (
        "a curve is judged from 3 seeds on: gcnnbench run toy --entry p4cnn@28 --seeds 0-2"
    )
    study.path("p4cnn@28", 1).unlink()
    study.path("p4cnn@28", 0).unlink()
    assert curve(study, [90.2] * 4, seeds=0).next == "gcnnbench run toy --entry p4cnn@28"


def test_devices_that_share_a_mean_are_told(study: Study) -> None:
    study.edit("p4cnn@28", 1, provenance__device="cuda")
    rows = judged(study, NUMBER)
    assert rows[0].devices == ("cpu", "cuda")
    assert "1. the mean mixes devices (cpu, cuda)" in claims_as_markdown(rows)


def test_the_report_reads_well_and_parses(study: Study) -> None:
    rows = judged(study, NUMBER, {**NUMBER, "id": "other", "differs": ["other images"]})
    text = claims_as_markdown(rows)
    (line,) = (line for line in text.splitlines() if line.startswith("| exact-upright "))
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[1:5] == ["90.20±0.20 (100)", "90.20±0.20 (3)", "0.00 [−0.20, +0.20]", "[−0.33, +0.33]"]
    assert cells[5:] == ["1.00", "0.33", "2", "reproduced, compatible (p = 1.000, Holm 1.000)", "a"]
    assert "a: under the assumption dropout-rate." in " ".join(text.split())
    assert "1. other images" in text
    assert "2 claims; 1 was tested and could have come out otherwise: 1 reproduced." in " ".join(text.split())
    assert "Not judged: 1 not comparable." in " ".join(text.split())
    document = json.loads(claims_as_json(rows))
    assert document["summary"] == {"reproduced": 1, "not comparable": 1}
    assert document["rows"][0]["ours"]["n"] == 3
