"""The store never shows half a file, never loses an old one, and never counts a repeat or a try-out as a seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from gcnnbench.errors import UserError
from gcnnbench.runs import files
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.cell_run import run_cell
from gcnnbench.runs.files import blob, read_files, weights_path
from gcnnbench.runs.finish import Finished
from gcnnbench.runs.plan import plan, seeds_from, status, unfinished
from gcnnbench.runs.record import SCHEMA_VERSION, Failure, Record, sealed
from gcnnbench.runs.store import Store, read_record
from gcnnbench.strict_json import parse_model
from tests.stored_records import failures, records


@pytest.fixture(scope="module")
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    cell = Cell(request.getfixturevalue("tiny_registry"), "tiny", "z2cnn@8", 0, "cpu", 1, tmp_path_factory.mktemp("d"))
    *_, last = run_cell(cell)
    assert isinstance(last, Finished)
    return last


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


def a_failure(cell: Cell) -> Failure:
    return Failure(
        schema_version=SCHEMA_VERSION,
        benchmark=cell.card.full_name,
        entry=cell.entry,
        seed=cell.seed,
        spec_digest=cell.digest,
        reason="the loss is nan in epoch 2",
        phase="training",
        epoch=1,
        at="2026-01-01T00:00:00+00:00",
    )


def test_a_record_comes_back_as_it_was(store: Store, finished: Finished, make_cell: Callable[..., Cell]) -> None:
    cell = make_cell("z2cnn@8")
    path = store.add(cell, finished)
    assert path == store.results / "tiny@1" / "z2cnn@8" / "seed-0.json"
    assert store.record(cell) == finished.record
    assert records(store) == [finished.record]
    assert weights_path(path, store.results, finished.record).read_bytes() == finished.weights
    assert finished.record.outputs is not None
    assert blob(store.results, finished.record.outputs.sha256).read_bytes() == finished.outputs
    assert status(store, cell) == "done"
    assert unfinished(store, [cell, make_cell("z2cnn@8", 1)]) == [make_cell("z2cnn@8", 1)]


def test_a_record_of_another_protocol_goes_aside(
    store: Store, finished: Finished, make_cell: Callable[..., Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(make_cell("z2cnn@8"), finished)
    monkeypatch.setattr("gcnnbench.runs.spec.NUMERICS_VERSION", 1000)
    cell = make_cell("z2cnn@8")
    assert status(store, cell) == "stale"
    assert unfinished(store, [cell]) == [cell]
    record = finished.record.model_copy(update={"spec": cell.spec, "spec_digest": cell.digest})
    newer = replace(finished, record=sealed(record))
    path = store.add(cell, newer)
    old = path.with_name(f"seed-0.stale-{finished.record.spec_digest[:8]}.json")
    assert read_record(old) == finished.record
    assert old.with_suffix(".safetensors").exists()
    assert [record.spec_digest for record in records(store)] == [cell.digest]


def test_repeats_and_try_outs_stand_beside_the_record(
    store: Store, finished: Finished, make_cell: Callable[..., Cell]
) -> None:
    cell, limited = make_cell("z2cnn@8"), make_cell("z2cnn@8", limit=10)
    for repeat in (False, True):
        store.add(limited, finished, repeat=repeat)
    assert status(store, cell) == "planned"
    for _ in range(3):
        store.add(cell, finished, repeat=True)
    names = [file.place.name for file in read_files(store.results)]
    assert names == ["seed-0.json", "seed-0.repeat-1.json", "seed-0.repeat-2.json", "seed-0.unofficial.json"]


def test_a_failure_is_told_and_is_not_done(store: Store, finished: Finished, make_cell: Callable[..., Cell]) -> None:
    cell = make_cell("z2cnn@8")
    store.add_failure(cell, a_failure(cell))
    assert status(store, cell) == "failed"
    assert unfinished(store, [cell]) == [cell]
    assert [failure.reason for failure in failures(store)] == ["the loss is nan in epoch 2"]
    assert records(store) == []
    store.add(cell, finished)
    assert failures(store) == []


def test_a_claim_excludes_others_and_ends(store: Store, make_cell: Callable[..., Cell]) -> None:
    cell, other = make_cell(), make_cell(seed=1)
    with store.claim(cell) as mine:
        assert mine
        with Store(store.results).claim(cell) as theirs, store.claim(other) as free:
            assert not theirs
            assert free
        assert status(store, cell) == "running"
    with store.claim(cell) as again:
        assert again


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda text: text[: len(text) // 2], r"seed-0\.json: no record: EOF while parsing"),
        (lambda text: text.replace('"schema_version": 1', '"schema_version": 2'), r"no record: schema_version"),
        (lambda text: text.replace('"seed": 0', '"seed": "0"'), r"no record: seed: Input should be a valid integer"),
        (lambda text: json.dumps({**json.loads(text), "extra": 1}), r"no record: extra"),
    ],
)
def test_what_is_no_record_is_named(
    store: Store, finished: Finished, make_cell: Callable[..., Cell], damage: Callable[[str], str], match: str
) -> None:
    path = store.add(make_cell("z2cnn@8"), finished)
    path.write_text(damage(path.read_text()))
    with pytest.raises(UserError, match=match):
        store.record(make_cell("z2cnn@8"))


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The records that `read_files` parses from here on, where nothing is known yet."""
    found: list[bytes] = []

    def parse(written: bytes, form: type[Any]) -> Any:
        found.append(written)
        return parse_model(written, form)

    monkeypatch.setattr(files, "_parsed", {})
    monkeypatch.setattr(files, "_sound", set())
    monkeypatch.setattr(files, "parse_model", parse)
    return found


def test_records_are_parsed_once_and_one_that_changed_anew(
    store: Store, finished: Finished, make_cell: Callable[..., Cell], parsed: list[bytes]
) -> None:
    path = store.add(make_cell("z2cnn@8"), finished)
    (first,), (second,) = read_files(store.results), read_files(store.results)
    assert first == second
    assert isinstance(first.content, Record)
    assert len(parsed) == 1
    text = path.read_text()
    path.write_text(text.replace(f'"tested_epoch": {finished.record.training.tested_epoch}', '"tested_epoch": 77'))
    (changed,) = read_files(store.results)
    assert isinstance(changed.content, str)
    assert changed.content.startswith("contradicts itself: checksum")


def test_a_plan_goes_seed_by_seed(make_cell: Callable[..., Cell]) -> None:
    registry = make_cell().registry
    cells = plan(registry, ["tiny"], seeds=[0, 3], entries=["p4cnn@9", "z2cnn@8"])
    assert [(cell.entry, cell.seed) for cell in cells] == [
        ("p4cnn@9", 0),
        ("z2cnn@8", 0),
        ("p4cnn@9", 3),
        ("z2cnn@8", 3),
    ]
    assert len(plan(registry, ["tiny"])) == 6
    with pytest.raises(UserError, match=r"p4cnn@7 is no entry of tiny@1; did you mean p4cnn@"):
        plan(registry, ["tiny"], entries=["p4cnn@7"])


@pytest.mark.parametrize(("text", "seeds"), [("0-4", (0, 1, 2, 3, 4)), ("7", (7,)), ("0, 2,4-5,2", (0, 2, 4, 5))])
def test_seeds_are_read(text: str, seeds: tuple[int, ...]) -> None:
    assert seeds_from(text) == seeds


@pytest.mark.parametrize("text", ["", "4-0", "a", "1,,2", "-1", "1.5"])
def test_other_seeds_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="write single seeds and ranges, as in 0-4 or 0,2,5-7"):
        seeds_from(text)


@pytest.mark.parametrize("text", ["0-999999999", "0-9999,10000", "0-5000,0-5000"])
def test_more_seeds_than_anybody_runs_are_refused_before_they_are_counted(text: str) -> None:
    assert len(seeds_from("1-10000")) == 10_000
    with pytest.raises(UserError, match="more than 10,000 at once"):
        seeds_from(text)


@pytest.mark.parametrize("text", ["2000000000,0", "0-1000000001"])
def test_a_seed_that_no_record_could_say_is_told_before_the_work(text: str, make_cell: Callable[..., Cell]) -> None:
    assert seeds_from("1000000000") == (10**9,)
    with pytest.raises(UserError, match=r"seed \d+: a seed is at least 0 and at most 1,000,000,000"):
        seeds_from(text)
    with pytest.raises(UserError, match=r"seed -1: a seed is at least 0"):
        plan(make_cell().registry, ["tiny"], seeds=[0, -1])


def test_a_limited_record_is_done_for_its_own_limit_only(
    store: Store, make_cell: Callable[..., Cell], finished: Finished
) -> None:
    limited = make_cell("z2cnn@8", limit=64)
    unofficial = {"official": False, "unofficial_because": "limited to 64 images a share"}
    store.add(limited, replace(finished, record=finished.record.model_copy(update=unofficial)))
    assert (status(store, limited), status(store, replace(limited, limit=128))) == ("done", "stale")
    assert [cell.limit for cell in unfinished(store, [limited, replace(limited, limit=128)])] == [128]


def test_more_records_than_are_remembered_push_out_none(
    store: Store,
    finished: Finished,
    make_cell: Callable[..., Cell],
    parsed: list[bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All are passed in one order: where the oldest made room, none would be met again."""
    monkeypatch.setattr(files, "REMEMBERED", 2)
    for seed in range(3):
        record = finished.record.model_copy(update={"seed": seed})
        store.add(make_cell("z2cnn@8", seed=seed), replace(finished, record=sealed(record)))
    for _ in range(2):
        assert len(records(store)) == 3
    assert len(parsed) == 4, "the third alone is parsed again"


def test_a_record_that_contradicts_itself_is_asked_again(
    store: Store, finished: Finished, make_cell: Callable[..., Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that was behind calls a record's end yet to come, and does no more once it is set."""
    made = finished.record.provenance.model_copy(update={"finished": "2099-01-01T00:00:00+00:00"})
    record = sealed(finished.record.model_copy(update={"provenance": made}))
    store.add(make_cell("z2cnn@8"), replace(finished, record=record))
    (early,) = read_files(store.results)
    assert isinstance(early.content, str)
    monkeypatch.setattr("gcnnbench.runs.self_checks.CLOCKS", timedelta(days=36_500))
    (late,) = read_files(store.results)
    assert late.content == record
