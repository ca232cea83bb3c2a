"""Published numbers beside our records: verdicts, families, counts, and what does not count."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.claims import ClaimsCard
from gcnnbench.claims.evidence import failed_seeds, gather, set_aside
from gcnnbench.claims.families import with_families
from gcnnbench.claims.judging import judge_claims
from gcnnbench.claims.rows import ClaimRow, with_failed, with_set_aside
from gcnnbench.claims.summary import summary_text
from gcnnbench.claims.text import claims_as_markdown
from gcnnbench.claims.verdicts import Judgement
from gcnnbench.runs.spec import spec, spec_digest
from gcnnbench.statistics import holm, pooled, sample_std, summary, welch
from tests.toy_claims import NUMBER, card, judged, reading
from tests.toy_records import Toy, failure

if TYPE_CHECKING:
    from tests.toy_results import Study

RESULTS = Path(__file__).parents[2] / "results"


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


def test_records_of_a_superseded_version_alone_are_told_with_the_difference() -> None:
    """The committed records of `p4cnn@29` under rotated training are those of version 1."""
    aside = set_aside(Registry.load(), RESULTS)
    assert ("mnist-uniform", "p4cnn@28") not in aside, "version 2 has records of it"
    told = aside["mnist-uniform", "p4cnn@29"]
    assert told.startswith("p4cnn@29: its record of seed 0 is of mnist-uniform@1: ")
    assert "model_version is 1, now 2" in told


def test_a_record_of_a_superseded_version_is_told_where_its_protocol_is_todays_word_for_word(study: Study) -> None:
    """It is not gathered, so it must be told."""
    for seed in range(3):
        path = study.path("p4cnn@28", seed)
        data = json.loads(path.read_text("utf-8")) | {"benchmark": "toy@1"}
        older = study.results / "toy@1" / "p4cnn@28" / path.name
        older.parent.mkdir(parents=True, exist_ok=True)
        older.write_text(json.dumps(data), "utf-8")
        path.unlink()
    assert ("toy", "p4cnn@28") not in gather(study.registry, study.results)
    aside = set_aside(study.registry, study.results)
    assert aside == {("toy", "p4cnn@28"): "p4cnn@28: its record of seed 0 is of toy@1, which is superseded"}


def test_a_repeat_alone_is_told(study: Study) -> None:
    for seed in range(3):
        study.path("p4cnn@28", seed).rename(study.path("p4cnn@28", seed).with_suffix(".repeat-1.json"))
    aside = set_aside(study.registry, study.results)
    assert aside["toy", "p4cnn@28"] == "p4cnn@28: its record of seed 0 is a repeat"


def test_a_seed_that_failed_is_told_with_the_verdict_of_those_that_did_not(study: Study) -> None:
    study.path("p4cnn@28", 1).unlink()
    digest = spec_digest(spec(study.registry, study.card, "p4cnn@28"))
    Toy.write(study.results, failure("p4cnn@28", 1, "the loss is not finite", digest))
    Toy.write(study.results, failure("p4cnn@28", 2, "of another protocol", "0" * 64))
    failed = failed_seeds(study.registry, study.results)
    (row,) = with_failed(judged(study, NUMBER), failed)
    assert row.warning == "p4cnn@28: left out as failed, seed 1"
    assert row.warning in claims_as_markdown([row])


def test_a_verdict_that_welchs_interval_would_not_give_says_so(study: Study) -> None:
    """Our seeds scatter ten times as much as the published ones, and the pooled interval is theirs."""
    narrow = {**NUMBER, "printed": "90.2 ± 0.02", "spread": {"value": 0.02, "kind": "population"}}
    (row,) = judged(study, narrow, points=0.3)
    assert (row.verdict, row.by_welch) == ("reproduced", "inconclusive")
    assert "by Welch's interval inconclusive" in claims_as_markdown([row])
    (row,) = judged(study, NUMBER)
    assert (row.verdict, row.by_welch) == ("reproduced", None)
    assert "by Welch's interval" not in claims_as_markdown([row])


def test_where_no_command_helps_the_reason_stands_alone(study: Study) -> None:
    row = replace(judged(study, NUMBER)[0], judgement=Judgement("not run"), next="")
    (told,) = with_set_aside([row], {("toy", "p4cnn@28"): "reason"})
    assert told.next == "reason"


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
