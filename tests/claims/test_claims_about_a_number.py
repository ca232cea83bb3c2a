"""Which claims speak of a number of a table: one rule for `explain` and for the page."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.evidence import gather
from gcnnbench.claims.judging import judge_claims
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.rows import ClaimRow, about

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.fixture(scope="module")
def rows() -> list[ClaimRow]:
    registry = Registry.load()
    return judge_claims(registry, read_claims(registry), gather(registry, RESULTS))


@pytest.mark.parametrize(
    ("metric", "claim"),
    [
        ("accuracy.upright", "upright-p4-28-at-0"),
        ("accuracy.upright", "exact-accuracies-are-identical-upright/to-the-last-digit"),
        ("accuracy.rot90", "upright-p4-28-mean-of-90-180-270"),
        ("accuracy.unseen", "upright-p4-28-mean-of-90-180-270"),
        ("accuracy.curve_mean", "upright-p4-28-curve"),
    ],
)
def test_a_claim_speaks_of_a_number(rows: list[ClaimRow], metric: str, claim: str) -> None:
    assert claim in {row.id for row in about(rows, "mnist-upright@2", "p4cnn@28", metric)}


def test_none_speaks_of_another_version_or_entry(rows: list[ClaimRow]) -> None:
    assert not [row for row in about(rows, "mnist-upright@1", "p4cnn@28", "accuracy.upright") if row.protocol]
    here = about(rows, "mnist-upright@2", "p4cnn@27", "accuracy.upright")
    assert here
    assert all("p4cnn@27" in row.entries for row in here)


def test_claims_that_wait_for_records_are_among_them(rows: list[ClaimRow]) -> None:
    waiting = [row for row in rows if row.protocol is None and row.benchmark and row.entries]
    assert waiting
    for row in waiting:
        assert row in about(rows, f"{row.benchmark}@1", row.entries[0], row.quantity)
