"""Published curves and statements beside our records."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest

from gcnnbench.claims import judging
from gcnnbench.claims.evidence import gather
from gcnnbench.claims.text import claims_as_markdown
from tests.toy_claims import curve, judged, reading

if TYPE_CHECKING:
    from tests.toy_results import Study


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
    for seed in range(3):  # a third of three times 0.986 is another number, by the last bit
        study.add(study.record("p4cnn@28", seed, 0.986, 0.986))
    turns = reading(name="identical", entries=["p4cnn@28"], quantities=["accuracy.upright", "accuracy.quarter_turns"])
    assert judged(study, turns)[0].verdict == "reproduced"
    grows = reading(name="grows", entries=["p4cnn@27"])
    assert judged(study, grows)[0].verdict == "inconclusive", "errors before and after are one number here"
    for seed in range(3):
        error = 0.1 + seed / 100
        before = json.loads(study.path("p4cnn@27", seed).read_text("utf-8"))["equivariance"]["before"]
        study.edit("p4cnn@27", seed, equivariance__after__invariance_error=error, metrics__invariance_error=error)
        study.edit("p4cnn@27", seed, equivariance__relaxation__logits=error - before["invariance_error"])
    assert judged(study, grows)[0].verdict == "reproduced"
    (row,) = judged(study, grows)
    assert row.judgement.difference is not None
    assert f"+{row.judgement.difference:.2f} [" in claims_as_markdown([row]), "an error is no share: not in points"
