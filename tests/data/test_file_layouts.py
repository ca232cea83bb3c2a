"""The readers of rotated MNIST, PCam and CIFAR-100 on tiny copies in the same file layout, made here."""

from __future__ import annotations

import gzip
import hashlib
import json
import pickle
from importlib import import_module
from pathlib import Path
from types import ModuleType

import h5py
import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR100

from gcnnbench.cards.augmentation import Augmentation, Fill
from gcnnbench.cards.benchmark_card import Input
from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.dataset_card import Part as PartCard
from gcnnbench.cards.reading import open_card
from gcnnbench.cards.registry import Registry
from gcnnbench.data import images as images_module
from gcnnbench.data import pcam
from gcnnbench.data.copies import copy_path, on_copies, recorded_copy, settle
from gcnnbench.data.fetching import fetch
from gcnnbench.data.files import load_parts
from gcnnbench.data.images import prepare
from gcnnbench.data.parts import Part, digest
from gcnnbench.data.registered import load_dataset
from gcnnbench.errors import UserError

COUNTS = {"PCam": {"train": 9, "validation": 4, "test": 5}, "pcam-sample": {"train": 3, "validation": 2, "test": 1}}


def module(name: str) -> ModuleType:
    return import_module(f"gcnnbench.datasets.{name}.dataset")


def card(name: str, images: dict[str, int]) -> DatasetCard:
    """The registered card with other counts and no digests."""
    registered = Registry.load().dataset(name)
    return registered.model_copy(update={"parts": {part: PartCard(images=count) for part, count in images.items()}})


def write_patches(folder: Path, counts: dict[str, int], **layout: object) -> dict[str, Part]:
    """Noise in PCam's file layout, and what it holds."""
    (folder / "pcam").mkdir(parents=True, exist_ok=True)
    draws, parts = np.random.default_rng(0), {}
    for name, count in counts.items():
        patches = draws.integers(256, size=(count, 96, 96, 3), dtype=np.uint8)
        labels = (np.arange(count, dtype=np.uint8) % 2).reshape(-1, 1, 1, 1)
        for letter, values in (("x", patches), ("y", labels)):
            with h5py.File(folder / "pcam" / pcam.file_name(name, letter), "w") as file:
                file.create_dataset(letter, data=values, **layout)
        images = torch.from_numpy(patches).permute(0, 3, 1, 2)
        parts[name] = Part(images, torch.from_numpy(labels.reshape(-1)).to(torch.int64))
    return parts


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pcam, "PATCHES", COUNTS)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("layout", [{}, {"chunks": True}, {"chunks": True, "compression": "gzip"}])
@pytest.mark.parametrize("name", ["pcam", "pcam-sample"])
def test_patches_are_read_whatever_the_writer_did(tmp_path: Path, name: str, layout: dict[str, object]) -> None:
    counts = COUNTS["PCam" if name == "pcam" else name]
    written = write_patches(tmp_path, counts, **layout)
    for _ in range(2):  # the second time a plain copy stands beside a file in pieces
        parts = load_parts(card(name, counts), module(name), tmp_path)
        for part, expected in written.items():
            assert torch.equal(parts[part].images, expected.images)
            assert torch.equal(parts[part].labels, expected.labels)
            assert digest(parts[part]) == digest(expected)
    assert len(list((tmp_path / "pcam").glob("*.u8"))) == (6 if layout else 0)
    assert recorded_copy(tmp_path, name) == {part: digest(expected) for part, expected in written.items()}


@pytest.mark.usefixtures("tiny")
def test_the_undivided_sample_is_its_files_one_after_another(tmp_path: Path) -> None:
    written = write_patches(tmp_path, COUNTS["pcam-sample"])
    (whole,) = load_parts(card("pcam-1pct", {"all": 6}), module("pcam-1pct"), tmp_path).values()
    assert torch.equal(whole.images, torch.cat([part.images for part in written.values()]))
    assert torch.equal(whole.labels, torch.cat([part.labels for part in written.values()]))


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(("name", "other"), [("pcam", "pcam-sample"), ("pcam-sample", "PCam")])
def test_pcam_and_its_sample_tell_each_others_files_apart(tmp_path: Path, name: str, other: str) -> None:
    write_patches(tmp_path, COUNTS[other])
    own = "PCam" if name == "pcam" else name
    with pytest.raises(UserError) as raised:
        load_parts(card(name, COUNTS[own]), module(name), tmp_path)
    text = str(raised.value)
    assert f"holds {COUNTS[other]['train']:,} patches, as {other} has; {own} has {COUNTS[own]['train']:,}" in text
    assert "\n" not in text


@pytest.mark.usefixtures("tiny")
def test_patches_of_another_form_and_broken_files_are_named(tmp_path: Path) -> None:
    write_patches(tmp_path, {"train": 3, "validation": 2, "test": 1})
    path = tmp_path / "pcam" / pcam.file_name("train", "x")
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=np.zeros((3, 32, 32, 3), np.uint8))
    with pytest.raises(UserError, match=r"train_x\.h5 holds uint8 \(3, 32, 32, 3\); pcam-sample has uint8 \(3, 96"):
        module("pcam-sample").load(tmp_path)
    with h5py.File(path, "w") as file:
        file.create_group("x")
    with pytest.raises(UserError, match=r"train_x\.h5 is no file of pcam-sample: x is no array in it"):
        module("pcam-sample").load(tmp_path)
    path.write_bytes(b"not HDF5")
    with pytest.raises(UserError, match=r"train_x\.h5 is no whole HDF5 file of pcam-sample"):
        module("pcam-sample").load(tmp_path)


def test_the_missing_sample_says_where_it_comes_from(tmp_path: Path) -> None:
    registry = Registry.load()
    with pytest.raises(
        UserError, match=r"train_x\.h5 is missing \(and 5 more .*\); they are not downloaded .*unpack"
    ) as e:
        load_dataset(registry, "pcam-sample", tmp_path)
    assert "\n" not in str(e.value)
    with pytest.raises(UserError, match=r"pcam-sample cannot be downloaded: .*is missing\. By hand"):
        fetch(registry.dataset("pcam-sample"), module("pcam-sample"), tmp_path, lambda _: None)


def packed(folder: Path) -> dict[str, str]:
    """Pack every file of a folder and take it away: the md5 by archive."""
    sums = {}
    for path in sorted((folder / "pcam").glob("*.h5")):
        content = gzip.compress(path.read_bytes(), mtime=0)
        path.with_name(f"{path.name}.gz").write_bytes(content)
        sums[f"{path.name}.gz"] = hashlib.md5(content).hexdigest()
        path.unlink()
    return sums


@pytest.mark.usefixtures("tiny")
def test_fetch_unpacks_archives_that_are_there_and_asks_only_for_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, sums = write_patches(tmp_path, COUNTS["PCam"]), {}
    sums.update(packed(tmp_path))
    entry, files, asked = module("pcam"), iter(sums.items()), []
    known = {
        "any": {name: (name.removesuffix(".gz"), f"drive-{place}", md5) for place, (name, md5) in enumerate(files)}
    }
    monkeypatch.setattr(entry.PCAM, "_FILES", known)
    lost = tmp_path / "pcam" / f"{pcam.file_name('test', 'x')}.gz"
    content = lost.read_bytes()
    lost.write_bytes(content[:-9])

    def refuse(drive: str, folder: str, filename: str, md5: str) -> None:
        asked.append(filename)
        raise RuntimeError("Too many users have viewed or downloaded this file recently")

    def deliver(drive: str, folder: str, filename: str, md5: str) -> None:
        asked.append(filename)
        Path(folder, filename).write_bytes(content)

    here = card("pcam", COUNTS["PCam"]).model_copy(update={"disk_bytes": 1000, "download_bytes": 1000})
    monkeypatch.setattr(entry, "download_file_from_google_drive", refuse)
    with pytest.raises(
        UserError, match=r"test_x\.h5\.gz: Too many users .*daily quota.* a day later goes on .*By hand"
    ):
        fetch(here, entry, tmp_path, lambda _: None)
    assert len(list((tmp_path / "pcam").glob("*.h5"))) == 5, "what was whole is unpacked"
    monkeypatch.setattr(entry, "download_file_from_google_drive", deliver)
    fetch(here, entry, tmp_path, lambda _: None)
    assert asked == [lost.name, lost.name]
    assert recorded_copy(tmp_path, "pcam") == {name: digest(part) for name, part in written.items()}


AMAT = {"train": ("train.amat", 4), "test": ("test.amat", 6)}


def write_amat(folder: Path, *, seed: int = 0) -> dict[str, np.ndarray]:
    (folder / "rotmnist").mkdir(parents=True, exist_ok=True)
    draws, tables = np.random.default_rng(seed), {}
    for part, (name, count) in AMAT.items():
        table = np.hstack([draws.random((count, 784)), draws.integers(10, size=(count, 1))])
        np.savetxt(folder / "rotmnist" / name, table, fmt="%.7e")
        tables[part] = np.loadtxt(folder / "rotmnist" / name)
    return tables


@pytest.fixture
def amat(monkeypatch: pytest.MonkeyPatch) -> DatasetCard:
    monkeypatch.setattr(module("rotmnist"), "FILES", AMAT)
    files = tuple(file.model_copy(update={"path": f"rotmnist/{name}"}) for file, (name, _) in zip(
        Registry.load().dataset("rotmnist").files, AMAT.values(), strict=True
    ))  # fmt: skip
    return card("rotmnist", {part: count for part, (_, count) in AMAT.items()}).model_copy(update={"files": files})


def test_rotated_mnist_is_read_row_by_row(tmp_path: Path, amat: DatasetCard) -> None:
    tables = write_amat(tmp_path)
    for name, part in load_parts(amat, module("rotmnist"), tmp_path).items():
        pixels = tables[name][:, :-1].astype(np.float32).reshape(-1, 1, 28, 28)
        assert torch.equal(part.images, torch.from_numpy(pixels))
        assert part.labels.tolist() == tables[name][:, -1].tolist()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([0.5] * 784, r"train\.amat holds 3,139 numbers; 4 lines of 785 are 3,140"),
        ([1.5] + [0.5] * 783 + [3], r"grey levels run from .* to 1\.5; they must lie in \[0, 1\]"),
        ([0.5] * 784 + [10], "the last number of a line must be a class from 0 to 9"),
        ([0.5] * 784 + [2.5], "the last number of a line must be a class from 0 to 9"),
    ],
)
def test_an_amat_file_that_is_none_is_named(tmp_path: Path, amat: DatasetCard, row: list[float], message: str) -> None:
    write_amat(tmp_path)
    path = tmp_path / "rotmnist" / "train.amat"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:-1], " ".join(map(str, row))]))
    with pytest.raises(UserError, match=message):
        load_parts(amat, module("rotmnist"), tmp_path)


def test_a_copy_is_recorded_at_the_first_reading_and_no_other_passes(tmp_path: Path, amat: DatasetCard) -> None:
    write_amat(tmp_path)
    first = {name: digest(part) for name, part in load_parts(amat, module("rotmnist"), tmp_path).items()}
    assert recorded_copy(tmp_path, "rotmnist") == first
    write_amat(tmp_path, seed=1)
    with pytest.raises(UserError, match=rf"rotmnist: part train has the digest \w+, but .* recorded {first['train']}"):
        load_parts(amat, module("rotmnist"), tmp_path)
    copy_path(tmp_path, "rotmnist").unlink()
    load_parts(amat, module("rotmnist"), tmp_path)
    assert recorded_copy(tmp_path, "rotmnist") != first
    copy_path(tmp_path, "rotmnist").write_text("[1]")
    with pytest.raises(UserError, match="not digests by part; delete it"):
        load_parts(amat, module("rotmnist"), tmp_path)


def test_results_are_made_on_one_copy(tmp_path: Path) -> None:
    registry, results = Registry.load(), tmp_path / "results"
    copies = {folder: {"train": number * 64, "test": number * 64} for folder, number in (("one", "1"), ("two", "2"))}
    for folder, digests in copies.items():
        copy_path(tmp_path / folder, "rotmnist").parent.mkdir(parents=True)
        copy_path(tmp_path / folder, "rotmnist").write_text(json.dumps(digests))
    settled = settle(registry, "rotmnist", tmp_path / "one", results)
    assert {name: part.digest for name, part in settled.dataset("rotmnist").parts.items()} == copies["one"]
    assert on_copies(registry, results) == settled
    assert settle(registry, "rotmnist", tmp_path / "one", results) == settled
    with pytest.raises(
        UserError, match=r"records in .*results are made on another copy \(part train: 1{16}….*--results"
    ):
        settle(registry, "rotmnist", tmp_path / "two", results)
    assert settle(registry, "mnist", tmp_path / "nowhere", results) is registry, "its digests stand on its card"


def test_cifar100_has_its_fine_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / CIFAR100.base_folder
    folder.mkdir()
    rows = np.random.default_rng(0).integers(256, size=(2, 4, 3072), dtype=np.uint8)
    for name, data in zip(("train", "test"), rows, strict=True):
        content = {"data": data, "fine_labels": [99, 1, 2, 0], "coarse_labels": [5, 5, 5, 5]}
        (folder / name).write_bytes(pickle.dumps(content))
    (folder / "meta").write_bytes(pickle.dumps({"fine_label_names": [str(label) for label in range(100)]}))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    parts = module("cifar100").load(tmp_path)
    assert torch.equal(parts["test"].images, torch.from_numpy(rows[1]).reshape(4, 3, 32, 32))
    assert parts["train"].labels.tolist() == [99, 1, 2, 0]


def test_the_md5_of_cifar100_are_torchvisions() -> None:
    found = {Path(file.path).name: file.md5 for file in Registry.load().dataset("cifar100").files}
    lists = [*CIFAR100.train_list, *CIFAR100.test_list, [CIFAR100.meta["filename"], CIFAR100.meta["md5"]]]
    assert found == dict(lists)


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("size", [96, 97])
def test_images_that_do_not_fit_are_streamed_with_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    write_patches(tmp_path, COUNTS["PCam"])
    part = module("pcam").load(tmp_path)["train"]
    scale = Input(channels=3, resize="pillow-bilinear", mean=(0.7, 0.5, 0.7), std=(0.2, 0.3, 0.2))
    resident = prepare(part, scale, size)
    monkeypatch.setattr(images_module, "free_memory", lambda _: 100_000)
    streamed = prepare(part, scale, size)
    assert streamed.pixels.data_ptr() == part.images.data_ptr(), "nothing was copied"
    indices, grey = torch.tensor([4, 1, 7]), Fill(value=0.0, scale="after-normalisation")
    for one, other in (
        (resident.batch(indices), streamed.batch(indices)),
        (resident.batch(slice(2, 5)), streamed.batch(slice(2, 5))),
        (resident.rotated_batch(indices, 30.0, grey), streamed.rotated_batch(indices, 30.0, grey)),
        *(
            [images.augmented_batch(indices, Augmentation(quarter_turns=True), torch.Generator().manual_seed(0))
             for images in (resident, streamed)],
        ),
    ):  # fmt: skip
        assert torch.equal(one, other)
        assert one.shape == (3, 3, size, size)
        assert one.is_contiguous() == other.is_contiguous()


def test_consecutive_images_are_a_view() -> None:
    part = Part(torch.rand(6, 1, 2, 2), torch.arange(6))
    assert part.select(torch.arange(2, 5)).images.data_ptr() == part.images[2:].data_ptr()
    assert torch.equal(part.select(torch.tensor([2, 4, 3])).labels, torch.tensor([2, 4, 3]))


def test_the_samples_card_is_of_the_sample() -> None:
    sample = open_card(Registry.load().paths["dataset", "pcam-sample"], DatasetCard).card
    assert {name: part.images for name, part in sample.parts.items()} == pcam.PATCHES["pcam-sample"]
    assert all(part.digest for part in sample.parts.values())
    assert "sample" in sample.title
    full = Registry.load().dataset("pcam")
    assert {name: part.images for name, part in full.parts.items()} == pcam.PATCHES["PCam"]
