"""A sample of the mutants that `tox -e mutants` judges whole: of each kind a broken one and an exact one."""

from __future__ import annotations

import pytest

from tests.equivariance.mutants.corpus import NO_ANSWER, corpus
from tests.equivariance.mutants.mutant import Mutant
from tests.equivariance.mutants.power import PAGE, judged, page, share

MUTANTS = corpus()
KINDS = list(dict.fromkeys(mutant.kind for mutant in MUTANTS))


def sample() -> list[Mutant]:
    """Of each kind the last that is broken and the last that is exact, by construction; of those without answer one."""
    chosen = {(one.kind, one.exact): one for one in MUTANTS if one.exact is not None or not one.answerable}
    return list(chosen.values())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("mutant", sample(), ids=str)
def test_the_audit_says_what_is_true_of_a_mutant(mutant: Mutant) -> None:
    outcome = judged(mutant)
    assert outcome.sure, str(outcome)
    assert outcome.right, str(outcome)


def test_the_corpus_is_large_and_its_kinds_have_both_sides() -> None:
    assert len({str(mutant) for mutant in MUTANTS}) == len(MUTANTS) >= 500
    for kind in KINDS:
        sides = {mutant.exact for mutant in MUTANTS if mutant.kind == kind}
        assert kind == NO_ANSWER or {True, False} <= sides, kind


def test_the_page_counts_every_mutant_and_no_verdict_is_wrong() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert f"\n{len(MUTANTS)} small networks" in text
    assert "\n- 0 wrong verdicts" in text
    for kind in KINDS:
        assert kind == NO_ANSWER or f"\n| {kind} " in text


def test_a_wrong_verdict_would_be_counted() -> None:
    from dataclasses import replace

    outcome = judged(sample()[0])
    assert outcome.right
    lie = replace(outcome, decision="exact" if outcome.decision == "approximate" else "approximate")
    assert lie.wrong
    assert not lie.right
    assert "1 wrong verdicts" in page([outcome, lie])
    assert not replace(outcome, decision="unknown").wrong
    assert not replace(outcome, decision="unknown").right
    assert share(9, 10) == "9 of 10 [59.6, 98.2]"
