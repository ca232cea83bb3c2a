"""Poses: drawn once for all machines, alike for all parts, and as the conditions say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from gcnnbench.cards.registry import Registry
from gcnnbench.data.parts import Part, digest
from gcnnbench.data.posed import posed
from gcnnbench.data.registered import load_dataset


def parts(images: int = 400, size: int = 8) -> dict[str, Part]:
    random = torch.Generator().manual_seed(0)
    shape = (images, 1, size, size)
    return {"all": Part(torch.randint(256, shape, generator=random).to(torch.uint8), torch.arange(images) % 10)}


def test_quarter_turns_are_index_exact_and_even() -> None:
    given, made = parts()["all"], posed(parts(), "quarter", 10)["all"]
    turns = torch.stack([(given.images.rot90(k, (-2, -1)) == made.images).flatten(1).all(1) for k in range(4)])
    assert turns.sum(0).eq(1).all()
    assert (turns.sum(1) > 70).all()
    assert torch.equal(given.labels, made.labels)


def test_halves_tell_their_pose_by_their_label_and_share_the_sector() -> None:
    made, sector = posed(parts(), "halves", 10)["all"], posed(parts(), "sector", 10)["all"]
    half = made.labels >= 10
    assert torch.equal(made.labels % 10, sector.labels)
    assert torch.equal(made.images[~half], sector.images[~half])
    assert torch.equal(made.images[half], sector.images[half].rot90(2, (-2, -1)))
    assert 160 < int(half.sum()) < 240


@pytest.mark.parametrize(("condition", "widest"), [("sector", 45), ("circle", 180)])
def test_angles_fill_their_range(condition: str, widest: int) -> None:
    """A bar from the centre to the right: where it points afterwards."""
    images = torch.zeros(400, 1, 29, 29, dtype=torch.uint8)
    images[:, :, 14, 18:] = 255
    made = posed({"all": Part(images, torch.zeros(400, dtype=torch.int64))}, condition, 10)["all"]  # type: ignore[arg-type]
    weight, place = made.images[:, 0].double(), torch.arange(29.0).double() - 14
    up, right = -(weight * place[:, None]).sum((1, 2)), (weight * place).sum((1, 2))
    degrees = torch.atan2(up, right).rad2deg()
    assert widest - 3 < float(degrees.max()) < widest + 1
    assert -widest - 1 < float(degrees.min()) < 3 - widest


def test_a_digest_pins_every_pose() -> None:
    card = Registry.load().dataset("digits-halves")
    made = load_dataset(Registry.load(), "digits-halves", Path("unused"))["all"]
    assert digest(made) == card.parts["all"].digest
