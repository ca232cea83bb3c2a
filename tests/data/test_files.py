from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.dataset_card import Part as PartCard
from gcnnbench.data import mnist
from gcnnbench.data.files import faults, load_parts
from gcnnbench.data.parts import Part
from gcnnbench.errors import UserError

NAMES = ("train-images", "train-labels", "t10k-images", "t10k-labels")


def file(data: Path, name: str) -> Path:
    return next((data / "MNIST" / "raw").glob(f"{name}*"))


def entry(load: Callable[[Path], dict[str, Part]]) -> ModuleType:
    module = ModuleType("entry")
    module.__dict__["load"] = load
    return module


def test_files_that_are_right_become_parts_in_the_cards_order(card: DatasetCard, data: Path) -> None:
    assert faults(card, data, content=True) == ()
    parts = load_parts(card, mnist, data)
    assert {name: len(part) for name, part in parts.items()} == {"train": 60, "test": 20}
    assert parts["train"].images.shape == (60, 1, 28, 28)


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_file_is_named_with_the_command_that_brings_it(card: DatasetCard, data: Path, name: str) -> None:
    path = file(data, name)
    path.unlink()
    with pytest.raises(UserError) as raised:
        load_parts(card, mnist, data)
    assert str(raised.value) == (f"data set made-up: {path} is missing; run: gcnnbench fetch made-up --data {data}")


def test_several_missing_files_are_one_line(card: DatasetCard, data: Path) -> None:
    with pytest.raises(
        UserError, match=r"is missing \(and 3 more of its files\); run: gcnnbench fetch made-up"
    ) as raised:
        load_parts(card, mnist, data / "nowhere")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("name", NAMES)
def test_a_truncated_or_longer_file_is_named(card: DatasetCard, data: Path, name: str) -> None:
    path = file(data, name)
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    with pytest.raises(
        UserError, match=rf"{path.name} is truncated: {len(content) - 1} bytes instead of {len(content)}"
    ):
        load_parts(card, mnist, data)
    path.write_bytes(content + b"x")
    with pytest.raises(UserError, match=rf"{path.name} is altered: {len(content) + 1} bytes instead of {len(content)}"):
        load_parts(card, mnist, data)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", [0, -1])
def test_one_altered_bit_is_found_wherever_it_is(card: DatasetCard, data: Path, name: str, place: int) -> None:
    """In the header the decoder stumbles over it, in the values only the digest sees it; the file is named in both."""
    path = file(data, name)
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        UserError, match=rf"{path.name} is altered: its md5 is \w+ instead of \w+; run: gcnnbench fetch"
    ):
        load_parts(card, mnist, data)


def test_a_data_set_decoded_differently_is_refused(card: DatasetCard, data: Path) -> None:
    def shuffled(folder: Path) -> dict[str, Part]:
        parts = mnist.load(folder)
        return {"train": parts["train"].select(torch.arange(59, -1, -1)), "test": parts["test"]}

    with pytest.raises(UserError, match=r"part train has the digest \w+, the card says \w+; the files are right"):
        load_parts(card, entry(shuffled), data)


@pytest.mark.parametrize(
    ("update", "message"),
    [
        (
            {"size": 27},
            r"part train holds torch\.uint8 \(60, 1, 28, 28\), the card says torch\.uint8 \(60, 1, 27, 27\)",
        ),
        ({"pixels": "float32"}, r"holds torch\.uint8 .*, the card says torch\.float32"),
        ({"classes": 3}, r"part train has the label 9, the card has 3 classes from 0"),
        (
            {"parts": {"all": PartCard(images=80, digest="0" * 64)}},
            "load gave the parts test, train, the card has all",
        ),
    ],
)
def test_a_card_that_says_something_else_is_contradicted(
    card: DatasetCard, data: Path, update: dict[str, object], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        load_parts(card.model_copy(update=update), mnist, data)


def test_a_decoder_that_fails_on_right_files_is_blamed_itself(card: DatasetCard, data: Path) -> None:
    def broken(folder: Path) -> dict[str, Part]:
        raise KeyError("labels")

    with pytest.raises(UserError, match=r"data set made-up: dataset\.py failed: KeyError: 'labels'"):
        load_parts(card, entry(broken), data)
