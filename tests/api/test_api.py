"""The Python API does what the verbs do."""

from __future__ import annotations

import errno
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from gcnnbench import api
from gcnnbench.api import networks
from gcnnbench.cards.registry import Registry
from gcnnbench.data.registered import load_dataset
from gcnnbench.errors import UserError
from gcnnbench.runs.cell import Cell
from gcnnbench.runs.store import Store, read_record

TINY = Path(__file__).parents[1] / "runs" / "tiny.yaml"


@pytest.fixture(scope="module")
def cards() -> Registry:
    return api.registry([TINY])


def test_build_is_seeded_and_leaves_the_generator_alone(cards: Registry) -> None:
    before = torch.get_rng_state()
    one, same, other = (api.build("z2cnn@8", "tiny", seed=seed, cards=cards) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    pairs = list(zip(one.parameters(), same.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(first, second) for first, second, _ in pairs)
    assert not all(torch.equal(first, third) for first, _, third in pairs)


def test_a_cell_is_run_kept_loaded_and_tabled(cards: Registry, tmp_path: Path) -> None:
    record = api.run_cell("tiny", "z2cnn@8", device="cpu", threads=1, results=tmp_path, cards=cards)
    network = api.load_model("z2cnn@8", "tiny", 0, results=tmp_path, cards=cards)
    card = cards.benchmark("tiny")
    images = prepared(cards)
    assert not network.training
    with torch.inference_mode():
        correct = int((network(images[0]).argmax(1) == images[1]).sum())
    assert correct / 64 == record.metrics["accuracy.upright"]
    (board,) = api.leaderboard("tiny", results=tmp_path, cards=cards)
    rows = {row.entry: row for row in board.rows}
    upright = rows["z2cnn@8"].metrics["accuracy.upright"]
    assert upright is not None
    assert (upright.n, upright.mean) == (1, record.metrics["accuracy.upright"])
    assert [lack.seed for lack in rows["z2cnn@9"].missing] == list(range(card.seeds))


def prepared(cards: Registry) -> tuple[torch.Tensor, torch.Tensor]:
    from gcnnbench.data.images import prepare
    from gcnnbench.data.splits import order_seed, split

    card = cards.benchmark("tiny")
    shares = split(load_dataset(cards, "digits", Path("unused")), card.split, order_seed("tiny", 0, card.split))
    test = prepare(shares.test, card.input, 8)
    return test.batch(slice(None)), test.labels


def test_what_is_not_there_is_said(cards: Registry, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"tiny@1 z2cnn@8 seed 0 has no record in .*: gcnnbench run tiny"):
        api.load_model("z2cnn@8", "tiny", 0, results=tmp_path, cards=cards)


def test_a_superseded_version_has_networks_of_its_own_and_is_not_run() -> None:
    results = Path(__file__).parents[2] / "results"
    found = {
        name: api.load_model("p4cnn@28", name, 0, results=results) for name in ("mnist-upright", "mnist-upright@1")
    }
    for name, version in (("mnist-upright", 2), ("mnist-upright@1", 1)):
        kept = load_file(results / f"mnist-upright@{version}" / "p4cnn@28" / "seed-0.safetensors")
        assert torch.equal(found[name].state_dict()["norm7.weight"], kept["norm7.weight"])
    with pytest.raises(UserError, match="mnist-upright@1 is of version 1 of p4cnn, which this suite no longer init"):
        api.build("p4cnn@28", "mnist-upright@1")
    assert api.build("z2cnn@28", "mnist-upright@1"), "of a version that began as today's does"
    with pytest.raises(UserError, match="mnist-upright@1 is superseded by version 2"):
        api.run_cell("mnist-upright@1", "p4cnn@28")


def test_a_cell_that_has_its_record_gets_a_further_one(cards: Registry, tmp_path: Path) -> None:
    folder = tmp_path / "tiny@1" / "z2cnn@8"
    api.run_cell("tiny", "z2cnn@8", device="cpu", threads=1, results=tmp_path, cards=cards)
    first = (folder / "seed-0.json").read_bytes()
    api.run_cell("tiny", "z2cnn@8", device="cpu", threads=1, results=tmp_path, cards=cards)
    assert sorted(path.name for path in folder.glob("*.json")) == ["seed-0.json", "seed-0.repeat-1.json"]
    assert (folder / "seed-0.json").read_bytes() == first
    with Store(tmp_path).claim(Cell(cards, "tiny", "z2cnn@8", 1, "cpu", 1, tmp_path)) as free:
        assert free
        with pytest.raises(UserError, match="seed 1 is running in another process"):
            api.run_cell("tiny", "z2cnn@8", 1, device="cpu", threads=1, results=tmp_path, cards=cards)


def test_what_is_no_record_goes_aside_and_costs_no_training(cards: Registry, tmp_path: Path) -> None:
    path = tmp_path / "tiny@1" / "z2cnn@8" / "seed-0.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"half": ')
    record = api.run_cell("tiny", "z2cnn@8", device="cpu", threads=1, results=tmp_path, cards=cards)
    assert read_record(path) == record
    assert path.with_name("seed-0.stale-unreadable.json").read_text() == '{"half": '


def test_a_limited_cell_is_replaced_and_is_no_repeat(cards: Registry, tmp_path: Path) -> None:
    for _ in range(2):
        api.run_cell("tiny", "z2cnn@8", device="cpu", threads=1, results=tmp_path, limit=40, cards=cards)
    assert [path.name for path in tmp_path.glob("tiny@1/z2cnn@8/*.json")] == ["seed-0.unofficial.json"]


def test_where_no_record_can_be_kept_nothing_is_trained(
    cards: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "tiny@1").write_text("a file in the place of the folder")
    monkeypatch.setattr(networks, "run_to_end", lambda _: pytest.fail("it was trained"))
    with pytest.raises(UserError, match="tiny@1: "):
        api.run_cell("tiny", "z2cnn@8", device="cpu", threads=1, results=tmp_path, cards=cards)


def test_a_record_that_the_disk_refuses_is_not_lost(
    cards: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path))

    monkeypatch.setattr(Store, "add", full)
    with pytest.raises(api.NotKeptError, match="No space left on device") as refused:
        api.run_cell("tiny", "z2cnn@8", device="cpu", threads=1, results=tmp_path, limit=40, cards=cards)
    monkeypatch.undo()
    cell = Cell(cards, "tiny", "z2cnn@8", 0, "cpu", 1, tmp_path, 40)
    elsewhere = pickle.loads(pickle.dumps(refused.value))
    Store(tmp_path).add(cell, elsewhere.finished)
    assert Store(tmp_path).record(cell) == refused.value.finished.record


def test_other_weights_are_refused(cards: Registry, tmp_path: Path) -> None:
    api.run_cell("tiny", "z2cnn@8", device="cpu", threads=1, results=tmp_path, cards=cards)
    path = tmp_path / "tiny@1" / "z2cnn@8" / "seed-0.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\x01")
    with pytest.raises(UserError, match="not the weights that the record"):
        api.load_model("z2cnn@8", "tiny", 0, results=tmp_path, cards=cards)


@pytest.fixture(scope="module")
def kept(cards: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of two networks of the tiny benchmark."""
    folder = tmp_path_factory.mktemp("kept")
    for entry in ("z2cnn@8", "z2cnn@9"):
        api.run_cell("tiny", entry, device="cpu", threads=1, results=folder, cards=cards)
    return folder


def test_a_number_is_explained(cards: Registry, kept: Path) -> None:
    found = api.explain("tiny", "z2cnn@8", "upright", results=kept, cards=cards)
    assert (found.benchmark, found.entry, found.metric) == ("tiny@1", "z2cnn@8", "accuracy.upright")
    assert [value.seed for value in found.values] == [0]


def test_entries_and_directories_are_compared(cards: Registry, kept: Path, tmp_path: Path) -> None:
    found = api.compare("tiny/z2cnn@8", "tiny/z2cnn@9", results=kept, cards=cards)
    assert (found.first, found.second) == ("z2cnn@8", "z2cnn@9")
    shutil.copytree(kept, tmp_path / "copy")
    same = api.compare_directories(kept, tmp_path / "copy")
    assert len(same.cells) == 2
    assert not any(pair.differs for pair in same.cells)
    assert not same.comparisons


def test_a_figure_is_drawn(cards: Registry, kept: Path, tmp_path: Path) -> None:
    drawn = api.figure("curve", "tiny", folder=tmp_path, results=kept, cards=cards)
    assert {path.suffix for path in drawn.files} == {".svg", ".png"}
    assert all(path.is_file() for path in drawn.files)


def test_records_and_claims_are_verified(cards: Registry, kept: Path) -> None:
    assert {row.grade for row in api.verify_records(results=kept, cards=cards) if "seed-0" in row.id} == {"recomputed"}
    rows = api.verify_claims("mnist-upright", results=kept, cards=cards)
    assert rows
    assert {row.benchmark for row in rows} == {"mnist-upright"}


def test_any_network_is_audited() -> None:
    found = api.audit(torch.nn.Sequential(torch.nn.Conv2d(1, 2, 3), torch.nn.Flatten()), sizes=(9,), channels=1)
    assert [row.size for row in found.sizes] == [9]


def test_a_submission_is_looked_at(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        api.check_submission(tmp_path / "nowhere")
    with pytest.raises(UserError, match="nowhere"):
        api.verify_bundle(tmp_path / "nowhere")
