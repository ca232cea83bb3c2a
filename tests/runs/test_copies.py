"""A data set whose card knows no digest, from the first reading to the leaderboard: one copy makes rows, no other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gcnnbench import api
from gcnnbench.cards.registry import Registry
from gcnnbench.data.copies import record_copy, recorded_copy
from gcnnbench.errors import UserError
from gcnnbench.leaderboard.tables import leaderboard


@pytest.fixture
def open_registry(tiny_registry: Registry) -> Registry:
    card = tiny_registry.dataset("digits")
    part = card.parts["all"].model_copy(update={"digest": None})
    opened = card.model_copy(update={"parts": {"all": part}})
    return replace(tiny_registry, datasets={**tiny_registry.datasets, "digits": opened})


def test_records_name_their_copy_and_only_one_copy_makes_rows(
    tiny_registry: Registry, open_registry: Registry, tmp_path: Path
) -> None:
    entry = open_registry.benchmark("tiny").entries[0]
    data, results = tmp_path / "data", tmp_path / "results"
    record = api.run_cell("tiny", entry, data=data, results=results, cards=open_registry, device="cpu", threads=1)
    digest = tiny_registry.dataset("digits").parts["all"].digest
    assert record.spec["data"] == recorded_copy(data, "digits") == recorded_copy(results, "digits") == {"all": digest}
    for cards in (open_registry, tiny_registry):  # a digest written on the card later leaves the record in its row
        (board,), _ = leaderboard(cards, results, ["tiny"])
        assert [row.entry for row in board.rows if row.seeds] == [entry]
    record_copy(results, "digits", {"all": "f" * 64})
    with pytest.raises(UserError, match=r"no official record of this .*1 there do not count: .*stale"):
        leaderboard(open_registry, results, ["tiny"])
    with pytest.raises(UserError, match="made on another copy"):
        api.run_cell("tiny", entry, seed=1, data=data, results=results, cards=open_registry, device="cpu", threads=1)
