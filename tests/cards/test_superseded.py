"""A superseded version of a benchmark keeps its board and its checks, and is no longer run."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.cli import main
from gcnnbench.errors import UserError
from gcnnbench.figures.gallery import draw
from gcnnbench.leaderboard.tables import leaderboard
from gcnnbench.record_checks.conditions import NotCheckableError, cell_of
from gcnnbench.record_checks.retraining import retrain
from gcnnbench.runs.files import read_files
from gcnnbench.runs.plan import plan
from gcnnbench.runs.record import Record

RESULTS = Path(__file__).resolve().parents[2] / "results"


@pytest.fixture(scope="module")
def registry() -> Registry:
    return Registry.load()


@pytest.fixture(scope="module")
def old_records(registry: Registry) -> list[Record]:
    found = [file.content for file in read_files(RESULTS) if file.place.parts[0] in registry.superseded]
    return [content for content in found if isinstance(content, Record)]


def test_every_record_of_a_superseded_version_has_the_digest_of_its_card(
    registry: Registry, old_records: list[Record]
) -> None:
    assert {record.benchmark for record in old_records} == set(registry.superseded)
    for record in old_records:
        assert cell_of(registry, record, "cpu", Path()).digest == record.spec_digest


def test_its_board_stands_beside_the_current_one_and_they_share_no_row(registry: Registry) -> None:
    (old,), _ = leaderboard(registry, RESULTS, ["mnist-upright@1"])
    assert old.title.endswith("(superseded by version 2)")
    assert {row.entry for row in old.rows if row.seeds} == set(registry.superseded["mnist-upright@1"].entries)
    boards, _ = leaderboard(registry, RESULTS)
    for board in boards:
        if board.benchmark == "mnist-upright@2":
            assert not {digest for row in board.rows for digest in row.records} & {
                digest for row in old.rows for digest in row.records
            }


def test_it_is_not_run_and_says_what_is_left(registry: Registry) -> None:
    with pytest.raises(UserError, match=r"mnist-upright@1 is superseded by version 2 .*leaderboard mnist-upright@1"):
        plan(registry, ["mnist-upright@1"])
    assert {cell.card.version for cell in plan(registry, ["mnist-upright"])} == {2}


def test_its_card_and_its_pairs_are_its_own(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = draw(registry, RESULTS, "pairs", "mnist-upright@1", tmp_path)
    assert "mnist-upright@1" in drawn.caption
    assert "mnist-upright@2" not in drawn.caption
    with pytest.raises(SystemExit):
        main(["show", "mnist-upright@1"])
    assert "superseded/mnist-upright@1.yaml" in "".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "words",
    [
        "explain mnist-upright@1 p4cnn@28",
        "explain mnist-upright@1 p4cnn@28 --seed 0",
        "figure curve --benchmark mnist-upright@1",
        "figure relaxation --benchmark mnist-upright@1",
        "leaderboard mnist-upright@1",
        "compare mnist-upright@1/p4cnn@28 mnist-upright@1/p4cnn@27",
    ],
)
def test_without_records_nobody_is_sent_to_run_the_current_version(
    words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*words.split(), "--results", str(tmp_path)])
    told = " ".join(capsys.readouterr().err.split())
    assert ended.value.code == 2
    assert "superseded by version 2 and no longer run" in told
    assert "gcnnbench run" not in told


def test_a_network_that_began_otherwise_is_not_trained_again(registry: Registry, old_records: list[Record]) -> None:
    record = next(record for record in old_records if record.entry == "p4cnn@28")
    with pytest.raises(NotCheckableError, match="an earlier version of p4cnn"):
        retrain(cell_of(registry, record, "cpu", Path()), record, [])


def test_a_card_without_the_versions_of_its_models_is_refused(registry: Registry) -> None:
    card = registry.superseded["mnist-upright@1"]
    for change in ({"model_versions": None}, {"superseded_by": None}, {"superseded_by": 1}):
        with pytest.raises(ValueError, match="superseded_by"):
            type(card).model_validate(card.model_dump() | change)
