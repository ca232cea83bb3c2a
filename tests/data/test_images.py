from __future__ import annotations

import pytest
import torch
from torchvision.transforms import functional as torchvision

from gcnnbench.cards.augmentation import Augmentation, Fill, Rotation, UniformAngle
from gcnnbench.cards.benchmark_card import Input
from gcnnbench.data.images import prepare
from gcnnbench.data.parts import Part
from gcnnbench.data.resize import resize
from gcnnbench.data.rotate import rotate
from gcnnbench.errors import UserError

STUDY = Input(channels=3, resize="pillow-bilinear", mean=(0.13083716,) * 3, std=(0.04347679,) * 3)
COLOUR = Input(channels=3, resize="none", mean=(0.4914, 0.4822, 0.4465), std=(0.2023, 0.1994, 0.201))
BLACK = Fill(value=0.0, scale="before-normalisation")
GREY = Fill(value=0.0, scale="after-normalisation")


def part(images: int = 12, channels: int = 1, size: int = 28) -> Part:
    draws = torch.Generator().manual_seed(channels)
    pixels = torch.randint(256, (images, channels, size, size), dtype=torch.uint8, generator=draws)
    return Part(pixels, torch.randint(10, (images,), generator=draws))


def test_a_colour_batch_is_torchvisions_to_the_last_bit() -> None:
    source = part(channels=3)
    images = prepare(source, COLOUR, 28)
    scaled = torch.stack([torchvision.convert_image_dtype(image, torch.float32) for image in source.images])
    assert torch.equal(images.batch(slice(None)), torchvision.normalize(scaled, list(COLOUR.mean), list(COLOUR.std)))


def test_a_grey_batch_is_resized_and_shown_in_every_channel() -> None:
    source = part()
    images = prepare(source, STUDY, 29)
    scaled = (resize(source.images, 29).to(torch.float32) / 255).expand(-1, 3, -1, -1)
    expected = torchvision.normalize(scaled, list(STUDY.mean), list(STUDY.std))
    assert images.pixels.dtype == torch.uint8
    assert images.batch(slice(None)).shape == (12, 3, 29, 29)
    assert torch.equal(images.batch(slice(None)), expected)
    assert torch.equal(images.labels, source.labels)
    assert len(images) == 12


def test_a_grey_image_may_have_channels_normalised_differently() -> None:
    source = part(channels=1)
    shown = prepare(source, COLOUR, 28)
    grey_as_colour = Part(source.images.expand(-1, 3, -1, -1), source.labels)
    written_out = prepare(grey_as_colour, COLOUR, 28)
    assert torch.equal(shown.batch(slice(None)), written_out.batch(slice(None)))
    for fill in (BLACK, GREY):
        turned = shown.rotated_batch(slice(None), 40.0, fill)
        assert torch.equal(turned, written_out.rotated_batch(slice(None), 40.0, fill))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_indices_and_slices_choose_the_same(dtype: torch.dtype) -> None:
    images = prepare(part(), STUDY, 28)
    whole = images.batch(slice(None), dtype)
    assert whole.dtype == dtype
    assert torch.equal(images.batch(slice(3, 7), dtype), whole[3:7])
    assert torch.equal(images.batch(torch.tensor([9, 0, 9]), dtype), whole[[9, 0, 9]])


@pytest.mark.parametrize("fill", [BLACK, GREY])
def test_at_zero_degrees_a_rotated_batch_is_the_batch(fill: Fill) -> None:
    images = prepare(part(), STUDY, 27)
    assert torch.equal(images.rotated_batch(slice(None), 0, fill), images.batch(slice(None)))


def test_black_fill_is_rotating_before_normalisation() -> None:
    source = part(channels=3)
    images = prepare(source, COLOUR, 28)
    mean, std = (torch.tensor(v, dtype=torch.float64)[:, None, None] for v in (COLOUR.mean, COLOUR.std))
    before = (rotate(source.images.to(torch.float64) / 255, 25.0, 0.0) - mean) / std
    rotated = images.rotated_batch(slice(None), 25.0, BLACK, torch.float64)
    torch.testing.assert_close(rotated, before, rtol=0, atol=1e-12)
    mean_outside = images.rotated_batch(slice(None), 45.0, GREY, torch.float64)
    assert mean_outside[:, :, 0, 0].abs().max() == 0


def test_an_augmented_batch_is_drawn_once_for_all_channels() -> None:
    images = prepare(part(), STUDY, 28)
    angle = UniformAngle(name="uniform", low=0.0, high=360.0)
    card = Augmentation(crop_padding=3, rotation=Rotation(angle=angle, per="batch", fill=GREY))
    first = images.augmented_batch(slice(6), card, torch.Generator().manual_seed(1))
    again = images.augmented_batch(torch.arange(6), card, torch.Generator().manual_seed(1))
    assert first.shape == (6, 3, 28, 28)
    assert torch.equal(first, again)
    assert torch.equal(first[:, 0], first[:, 2])
    assert not torch.equal(first, images.batch(slice(6)))


@pytest.mark.parametrize("pixels", [torch.uint8, torch.float32])
def test_no_batch_touches_the_pixels(pixels: torch.dtype) -> None:
    source = part(channels=3)
    kept = source.images.to(pixels) if pixels == torch.uint8 else source.images / 255
    images = prepare(Part(kept.clone(), source.labels), COLOUR, 28)
    for chosen in (slice(None), slice(2, 5), torch.arange(12)):
        images.batch(chosen)
        images.rotated_batch(chosen, 30.0, BLACK)
    assert torch.equal(images.pixels, kept)


def test_float_images_are_taken_as_they_are() -> None:
    source = part(channels=3)
    as_float = prepare(Part(source.images / 255, source.labels), COLOUR, 28)
    assert torch.equal(as_float.batch(slice(None)), prepare(source, COLOUR, 28).batch(slice(None)))
    to_resize = COLOUR.model_copy(update={"resize": "pillow-bilinear"})
    with pytest.raises(UserError, match="works on 8-bit images, but these are float32"):
        prepare(Part(source.images / 255, source.labels), to_resize, 29)


def test_what_does_not_fit_is_named() -> None:
    with pytest.raises(UserError, match=r"28×28 pixels and the entry wants 27×27.*@28, or .*pillow-bilinear"):
        prepare(part(channels=3), COLOUR, 27)
    one = Input(channels=1, resize="none", mean=(0.5,), std=(0.5,))
    with pytest.raises(UserError, match=r"input\.channels \(=1\) must be 3"):
        prepare(part(channels=3), one, 28)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("size", [27, 28])
def test_the_same_images_stand_on_a_gpu(size: int) -> None:
    here, there = prepare(part(), STUDY, size), prepare(part(), STUDY, size, "cuda")
    assert there.pixels.is_cuda
    assert torch.equal(there.pixels.cpu(), here.pixels)
    indices = torch.tensor([5, 1, 8])
    assert torch.equal(there.batch(indices).cpu(), here.batch(indices))
    angle = UniformAngle(name="uniform", low=0.0, high=360.0)
    card = Augmentation(
        crop_padding=2,
        horizontal_flip=True,
        quarter_turns=True,
        rotation=Rotation(angle=angle, per="image", fill=BLACK),
    )
    moved = there.augmented_batch(indices, card, torch.Generator().manual_seed(3)).cpu()
    expected = here.augmented_batch(indices, card, torch.Generator().manual_seed(3))
    torch.testing.assert_close(moved, expected, rtol=0, atol=1e-4)
