from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy.stats import chisquare, kstest
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.transforms import functional as torchvision

from gcnnbench.cards.augmentation import Augmentation, Fill, NormalAngle, Rotation, UniformAngle
from gcnnbench.cards.benchmark_card import Input
from gcnnbench.data.augment import augment, crop, draw_angles, fill_values, flip, turn
from gcnnbench.data.rotate import rotate

COLOUR = Input(channels=3, resize="none", mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.5))
BLACK = Fill(value=0.0, scale="before-normalisation")
UNIFORM = UniformAngle(name="uniform", low=-30.0, high=60.0)
NORMAL = NormalAngle(name="normal", mean=45.0, std=20.0)


def draws(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def batch(images: int, size: int = 8, channels: int = 3) -> Tensor:
    return torch.rand(images, channels, size, size, dtype=torch.float64, generator=draws(images))


def rotation(angle: UniformAngle | NormalAngle, per: str, fill: Fill = BLACK) -> Augmentation:
    return Augmentation(rotation=Rotation.model_validate({"angle": angle, "per": per, "fill": fill}))


def test_fills_are_converted_to_the_scale_after_normalisation() -> None:
    assert fill_values(BLACK, COLOUR).tolist() == pytest.approx([-2.5, -1.6, -0.6])
    assert fill_values(Fill(value=1.0, scale="before-normalisation"), COLOUR).tolist() == pytest.approx([2.5, 2.4, 1.4])
    assert fill_values(Fill(value=0.5, scale="after-normalisation"), COLOUR).tolist() == [0.5, 0.5, 0.5]


def test_a_crop_is_padding_and_cropping_as_in_torchvision() -> None:
    images, fill = batch(5, size=7), torch.tensor([-1.0, 2.0, 0.5], dtype=torch.float64)
    top, left = torch.tensor([0, 1, 2, 4, 3]), torch.tensor([4, 0, 2, 4, 1])
    cropped = crop(images, top, left, 2, fill)
    for n, image in enumerate(images):
        planes = [
            torchvision.pad(plane[None], [2], fill=float(constant)) for plane, constant in zip(image, fill, strict=True)
        ]
        assert torch.equal(cropped[n], torchvision.crop(torch.cat(planes), int(top[n]), int(left[n]), 7, 7))


def test_a_crop_reflects_where_it_has_no_fill() -> None:
    images = batch(5, size=7)
    top, left = torch.tensor([0, 1, 2, 4, 3]), torch.tensor([4, 0, 2, 4, 1])
    cropped = crop(images, top, left, 2, None)
    for n, image in enumerate(images):
        padded = torchvision.pad(image, [2], padding_mode="reflect")
        assert torch.equal(cropped[n], torchvision.crop(padded, int(top[n]), int(left[n]), 7, 7))
    card, generator = Augmentation(crop_padding=2, crop_border="reflected"), draws(4)
    offsets = torch.randint(5, (2, 5), generator=generator)
    expected = crop(images, offsets[0], offsets[1], 2, None)
    assert torch.equal(augment(images, card, COLOUR, draws(4)), expected)


def test_flips_and_turns_move_only_the_images_they_should() -> None:
    images = batch(4)
    mirrored = flip(images, torch.tensor([True, False, True, False]), axis=-1)
    assert torch.equal(mirrored[[0, 2]], torchvision.hflip(images[[0, 2]]))
    assert torch.equal(mirrored[[1, 3]], images[[1, 3]])
    assert torch.equal(flip(images, torch.tensor([True] * 4), axis=-2), torchvision.vflip(images))
    turned = turn(images, torch.tensor([2, 0, 3, 1]))
    for n, quarter in enumerate([2, 0, 3, 1]):
        assert torch.equal(turned[n], images[n].rot90(quarter, (-2, -1)))


def test_everything_together_is_each_in_its_order_with_the_stated_draws() -> None:
    card = Augmentation(
        crop_padding=2,
        horizontal_flip=True,
        vertical_flip=True,
        quarter_turns=True,
        rotation=Rotation(angle=UNIFORM, per="image", fill=BLACK),
    )
    images, generator, black = batch(50), draws(1), fill_values(BLACK, COLOUR)
    offsets = torch.randint(5, (2, 50), generator=generator)
    expected = crop(images, offsets[0], offsets[1], 2, black)
    expected = flip(expected, torch.rand(50, generator=generator) < 0.5, axis=-1)
    expected = flip(expected, torch.rand(50, generator=generator) < 0.5, axis=-2)
    expected = turn(expected, torch.randint(4, (50,), generator=generator))
    expected = rotate(expected, draw_angles(UNIFORM, 50, generator), black)
    assert torch.equal(augment(images, card, COLOUR, draws(1)), expected)


class NoWaiting(TorchDispatchMode):
    """Refuses copies from the host to the device, for which `meta` stands, but for those that are sent."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        here = any(isinstance(given, Tensor) and given.device.type == "cpu" and given.ndim for given in args)
        assert not (here and isinstance(out, Tensor) and out.device.type == "meta"), f"{func} waits for the device"
        return out


@pytest.mark.parametrize("border", ["black", "reflected"])
def test_all_that_is_drawn_is_sent_without_waiting(monkeypatch: pytest.MonkeyPatch, border: str) -> None:
    def sent(values: Tensor, device: torch.device) -> Tensor:
        assert (values.device.type, device.type) == ("cpu", "meta")
        return torch.empty(values.shape, dtype=values.dtype, device="meta")

    for module in ("augment", "rotate"):
        monkeypatch.setattr(f"gcnnbench.data.{module}.send", sent)
    card = Augmentation(
        crop_padding=2,
        crop_border=None if border == "black" else "reflected",
        horizontal_flip=True,
        vertical_flip=True,
        quarter_turns=True,
        rotation=Rotation(angle=UNIFORM, per="image", fill=BLACK),
    )
    there = batch(5).to("meta")
    with NoWaiting():  # type: ignore[no-untyped-call]
        assert augment(there, card, COLOUR, draws()).shape == there.shape


def test_one_seed_gives_one_outcome_and_the_global_generator_is_left_alone() -> None:
    card = Augmentation(crop_padding=2, quarter_turns=True)
    before = torch.get_rng_state()
    first = augment(batch(20), card, COLOUR, draws(1))
    assert torch.equal(first, augment(batch(20), card, COLOUR, draws(1)))
    assert not torch.equal(first, augment(batch(20), card, COLOUR, draws(2)))
    assert torch.equal(before, torch.get_rng_state())


def test_no_augmentation_changes_and_draws_nothing() -> None:
    images, generator = batch(3), draws()
    off = Augmentation(horizontal_flip=False, vertical_flip=False, quarter_turns=False)
    for card in (Augmentation(), off):
        assert torch.equal(augment(images, card, COLOUR, generator), images)
    assert torch.equal(torch.rand(3, generator=generator), torch.rand(3, generator=draws()))


@pytest.mark.parametrize("per", ["batch", "image"])
def test_one_angle_for_a_batch_or_one_for_each_image(per: str) -> None:
    images = batch(1, size=9).expand(6, -1, -1, -1)
    turned = augment(images, rotation(UNIFORM, per), COLOUR, draws())
    same = [torch.equal(turned[0], other) for other in turned[1:]]
    assert all(same) if per == "batch" else not any(same)
    again = augment(images, rotation(UNIFORM, per), COLOUR, draws(3))
    assert not torch.equal(turned, again)


def test_what_comes_from_outside_is_the_fill() -> None:
    inside = torch.full((40, 3, 8, 8), 7.0, dtype=torch.float64)
    cropped = augment(inside, Augmentation(crop_padding=3), COLOUR, draws())
    outside = (cropped != 7).all(1)
    assert outside.any()
    mean = torch.tensor(COLOUR.mean, dtype=torch.float64)[:, None, None]
    std = torch.tensor(COLOUR.std, dtype=torch.float64)[:, None, None]
    assert (cropped * std + mean).movedim(1, -1)[outside].abs().max() < 1e-15, "black before normalisation"
    around_45 = UniformAngle(name="uniform", low=44.0, high=46.0)
    grey = Fill(value=0.0, scale="after-normalisation")
    turned = [augment(inside, rotation(around_45, "image", fill), COLOUR, draws()) for fill in (BLACK, grey)]
    corners = [images[:, :, 0, 0] for images in turned]
    torch.testing.assert_close(corners[0], fill_values(BLACK, COLOUR).expand(40, -1), rtol=0, atol=1e-14)
    assert corners[1].abs().max() == 0


def test_one_channel_stands_for_channels_that_are_alike() -> None:
    alike = Input(channels=3, resize="none", mean=(0.1, 0.1, 0.1), std=(0.3, 0.3, 0.3))
    card = Augmentation(crop_padding=2, horizontal_flip=True, rotation=Rotation(angle=NORMAL, per="image", fill=BLACK))
    grey = batch(10, channels=1)
    once = augment(grey, card, alike, draws()).expand(-1, 3, -1, -1)
    assert torch.equal(once, augment(grey.expand(-1, 3, -1, -1), card, alike, draws()))


def test_draws_have_their_distributions() -> None:
    assert kstest(draw_angles(UNIFORM, 4000, draws()), "uniform", args=(-30, 90)).pvalue > 0.01
    assert kstest(draw_angles(NORMAL, 4000, draws()), "norm", args=(45, 20)).pvalue > 0.01
    marked = torch.zeros(8000, 1, 3, 3, dtype=torch.float64)
    marked[:, 0, 0, 0] = 1
    grey = Input(channels=1, resize="none", mean=(0.0,), std=(1.0,))
    corners = (0, 2, 8, 6)
    for card, places in (
        (Augmentation(horizontal_flip=True), (0, 2)),
        (Augmentation(vertical_flip=True), (0, 6)),
        (Augmentation(horizontal_flip=True, vertical_flip=True), corners),
        (Augmentation(quarter_turns=True), corners),
    ):
        counts = augment(marked, card, grey, draws()).sum(0).flatten()
        assert chisquare(counts[list(places)]).pvalue > 0.01
        assert counts.sum() == len(marked)
    centred = marked.roll((1, 1), (-2, -1))
    counts = augment(centred, Augmentation(crop_padding=1), grey, draws()).sum(0).flatten()
    assert chisquare(counts).pvalue > 0.01, "nine offsets, each as likely"
