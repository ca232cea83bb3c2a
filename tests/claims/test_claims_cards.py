"""What a card of claims may say, and the registry's own cards beside the single runs that were published."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import yaml

from docs.studies.biased_corners import QUANTITIES
from gcnnbench.cards.reading import CardsError
from gcnnbench.cards.registry import Registry
from gcnnbench.claims import judging
from gcnnbench.claims.claims import FOLDER, WHERE, CurveClaim, NumberClaim
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.single_runs import published_runs
from gcnnbench.errors import UserError
from tests.toy_claims import NUMBER, card, curve, reading

if TYPE_CHECKING:
    from tests.toy_results import Study

LOG = re.compile(r"\w+\.out")


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
        ({"where": "tscohen/GrouPy@d0c148a:logs/*.out; row P4CNN"}, "OWNER/REPOSITORY@COMMIT:PATH"),
        ({"where": "arXiv 1602.07576, results on digits, row P4CNN"}, "as in arXiv 1602.07576, Table 1, row P4CNN"),
        ({"where": "arXiv 1602.07576, table not at hand, row P4CNN", "standing": "first-hand"}, "is not at hand"),
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


def test_every_log_of_the_study_is_named_and_the_one_kept_for_a_blind_check_is_not() -> None:
    (source,) = (one for one in read_claims(Registry.load()) if one.source == "edixhoven2023")
    beside = json.loads((FOLDER / "edixhoven2023.runs.json").read_text("utf-8"))["where"]
    assert WHERE.fullmatch(beside)
    logs = {claim.benchmark: set(LOG.findall(claim.where)) for claim in source.claims if LOG.search(claim.where)}
    assert logs == {
        "mnist-upright": {"cohen_no_bias.out", *(f"statistical_{number}.out" for number in (1, 2, 3))},
        "mnist-uniform": {"cohen_uniform.out", *(f"statistical_uni_{number}.out" for number in (1, 2, 3))},
        "mnist-biased-20": {"cohen_20.out"},
    }
    assert set(LOG.findall(beside)) == set().union(*logs.values())


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


def test_single_runs_that_changed_are_read_anew(tmp_path: Path) -> None:
    """A session that goes on judges by the file that is there, not by the one that was."""
    card, written = tmp_path / "mine.yaml", tmp_path / "mine.runs.json"
    claim: Any = SimpleNamespace(**{key: RUNS[key] for key in ("benchmark", "entry", "quantity")}, at=[0], id="curve")
    assert published_runs(card, claim) is None
    for number in (900, 800):
        curves = [{**RUNS, "at": [0], "runs": [[number]] * 2}]
        source = {"source": "mine", "where": "my notes", "about": "my runs", "curves": curves}
        written.write_text(json.dumps(source), "utf-8")
        runs = published_runs(card, claim)
        assert runs is not None
        assert runs.tolist() == [[number / 1000]] * 2


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


def test_what_a_study_chose_a_fill_by_is_calibration() -> None:
    """The corners study compares its arms with the official runs by these curves."""
    (card,) = (one for one in read_claims(Registry.load()) if one.source == "edixhoven2023")
    chosen = {
        claim.quantity: claim.calibrates
        for claim in card.claims
        if isinstance(claim, CurveClaim) and (claim.benchmark, claim.entry) == ("mnist-biased-20", "z2cnn@28")
    }
    assert {quantity for quantity, calibrates in chosen.items() if calibrates == "training-rotation-fill"} == {
        *QUANTITIES
    }
