from __future__ import annotations

import os
import pickle
from importlib import import_module
from pathlib import Path
from random import Random
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor
from torchvision.datasets import CIFAR10
from torchvision.transforms.functional import InterpolationMode
from torchvision.transforms.functional import rotate as by_torchvision

import gcnnbench.datasets
from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.reading import open_card
from gcnnbench.data.files import faults, load_parts
from gcnnbench.data.parts import Part, digest
from gcnnbench.data.resize import resize
from gcnnbench.errors import UserError

FOLDERS = sorted(
    path for place in gcnnbench.datasets.__path__ for path in Path(place).iterdir() if (path / "dataset.yaml").is_file()
)
NAMES = [folder.name for folder in FOLDERS]


def module(name: str) -> ModuleType:
    return import_module(f"gcnnbench.datasets.{name}.dataset")


def real(card: DatasetCard) -> Path:
    """The data directory that GCNNBENCH_DATA names, if it holds the files of this data set."""
    folder = Path(os.environ.get("GCNNBENCH_DATA", "data"))
    if faults(card, folder, content=False):
        pytest.skip(f"the files of {card.name} are not in {folder}; set GCNNBENCH_DATA to check its digests")
    return folder


def test_every_folder_is_an_entry() -> None:
    written = {"cifar10", "cifar100", "digits", "mnist", "pcam", "pcam-sample", "rotmnist", "rotmnist-generated"}
    assert written <= set(NAMES)
    for place in gcnnbench.datasets.__path__:
        for path in Path(place).iterdir():
            assert path.name in {*NAMES, "__init__.py", "__pycache__"}, f"{path} is no entry"


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_real_files_decode_to_the_cards_digests(folder: Path) -> None:
    card = open_card(folder / "dataset.yaml", DatasetCard).card
    data = real(card)
    try:
        parts = load_parts(card, module(card.name), data)
    except UserError as error:
        if "the two use the same file names" in str(error):
            pytest.skip(str(error))
        raise
    assert list(parts) == list(card.parts)
    for part in parts.values():
        assert part.labels.unique().tolist() == list(range(card.classes)), "every class stands in every part"


@pytest.mark.parametrize(("name", "sizes"), [("mnist", (27, 29)), ("cifar10", (33,))])
def test_real_images_are_resized_as_by_pillow(name: str, sizes: tuple[int, ...]) -> None:
    folder = next(folder for folder in FOLDERS if folder.name == name)
    data = real(open_card(folder / "dataset.yaml", DatasetCard).card)
    images: Tensor = module(name).load(data)["test"].images[:300]
    for size in sizes:
        by_pillow = [
            np.asarray(Image.fromarray(plane).resize((size, size), Image.Resampling.BILINEAR))
            for plane in images.flatten(0, 1).numpy()
        ]
        assert torch.equal(resize(images, size).flatten(0, 1), torch.from_numpy(np.stack(by_pillow)))


@pytest.mark.parametrize("folder", FOLDERS, ids=NAMES)
def test_a_card_with_files_says_where_they_come_from(folder: Path) -> None:
    card = open_card(folder / "dataset.yaml", DatasetCard).card
    if card.files:
        assert sum(file.bytes or 0 for file in card.files) <= card.disk_bytes
        assert card.by_hand
        assert card.download_bytes == 0 or callable(module(card.name).fetch)
    else:
        assert card.download_bytes == card.disk_bytes == 0


def test_digits_are_stretched_from_sixteen_to_white() -> None:
    part = module("digits").load(Path("nowhere"))["all"]
    values = load_digits().images
    expected = np.floor(values * 255 / 16 + 0.5).astype(np.uint8)
    assert torch.equal(part.images, torch.from_numpy(expected)[:, None])
    assert part.images.max() == 255
    assert torch.equal(part.labels, torch.from_numpy(load_digits().target))


def test_cifar_batches_follow_one_another_channels_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    draws = np.random.default_rng(0)
    rows, labels = draws.integers(256, size=(6, 4, 3072), dtype=np.uint8), draws.integers(10, size=(6, 4))
    names = [f"data_batch_{n}" for n in range(1, 6)] + ["test_batch"]
    for name, data, classes in zip(names, rows, labels, strict=True):
        (folder / name).write_bytes(pickle.dumps({"data": data, "labels": classes.tolist()}))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    monkeypatch.setattr("torchvision.datasets.cifar.check_integrity", lambda *_: True)
    parts = module("cifar10").load(tmp_path)
    planes = torch.from_numpy(rows).reshape(6, 4, 3, 32, 32)  # each row holds red, green and blue planes
    assert torch.equal(parts["train"].images, planes[:5].flatten(0, 1))
    assert torch.equal(parts["test"].images, planes[5])
    assert parts["train"].labels.tolist() == labels[:5].flatten().tolist()


def digits_as_mnist() -> dict[str, Part]:
    """Real digits at MNIST's size: 1,500 to train, 297 to test."""
    part = module("digits").load(Path("nowhere"))["all"]
    larger = Part(resize(part.images, 28), part.labels)
    return {"train": larger.select(slice(1500)), "test": larger.select(slice(1500, None))}


@pytest.fixture
def generated(monkeypatch: pytest.MonkeyPatch) -> dict[str, Part]:
    entry = module("rotmnist-generated")
    monkeypatch.setattr(entry, "load_mnist", lambda _: digits_as_mnist())
    monkeypatch.setattr(entry, "SIZES", {"train": 300, "test": 1200})
    parts: dict[str, Part] = entry.load(Path("nowhere"))
    return parts


def test_rotated_digits_are_made_as_documented(generated: dict[str, Part]) -> None:
    random = Random(2007)
    ranks = [random.random() for _ in range(1797)]
    chosen = sorted(range(1797), key=ranks.__getitem__)[:1500]
    degrees = [360 * random.random() for _ in chosen]
    source = digits_as_mnist()
    images = torch.cat([source["train"].images, source["test"].images])
    labels = torch.cat([source["train"].labels, source["test"].labels])
    made = torch.cat([generated["train"].images, generated["test"].images])
    assert torch.equal(torch.cat([generated["train"].labels, generated["test"].labels]), labels[chosen])
    assert len(generated["train"]) == 300

    def turned(image: Tensor, angle: float) -> Tensor:
        return torch.as_tensor(by_torchvision(image.to(torch.float64), angle, InterpolationMode.BILINEAR))

    expected = torch.stack([turned(images[n], angle) for n, angle in zip(chosen, degrees, strict=True)])
    assert (made - expected).abs().max() <= 0.5 + 1e-9, "rounded to the nearest integer"


def test_rotated_digits_are_the_same_everywhere(generated: dict[str, Part]) -> None:
    """Pins what the card's digests pin, on digits that every machine has."""
    assert digest(generated["train"]) == "f7aafa44c23b2bee6ef0586a2ebe84a1f15aa6d4f37dc17fa3cc621c36904be4"
    assert digest(generated["test"]) == "01d6e86e7b37f1e4aeb25a63cd86e08ae1c7e877e9a2a7acff2ce9fa62d635ad"
