"""What is fitted to the training images does what it says, to all shares alike, and looks at no other image."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from PIL import Image

from gcnnbench.cards.benchmark_card import BenchmarkCard, Input, Share
from gcnnbench.cards.registry import Registry
from gcnnbench.data.fitted import CHUNK, applied, contrast_zca, shares_of, standardised
from gcnnbench.data.images import prepare
from gcnnbench.data.parts import Part
from gcnnbench.data.splits import order_seed, split_indices
from gcnnbench.errors import UserError

BILINEAR = Image.Resampling.BILINEAR


def noise(images: int, seed: int, channels: int = 2, size: int = 4) -> Part:
    draws = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels * size * size, channels * size * size, generator=draws)
    pixels = (torch.randn(images, len(mixing), generator=draws) @ mixing).view(images, channels, size, size)
    return Part(pixels, torch.arange(images) % 2)


def test_standardised_pixels_have_one_scale() -> None:
    train = noise(CHUNK + 500, 0)
    made = applied(train, standardised(train)).images
    assert made.dtype == torch.float32
    assert float(made.double().mean()) == pytest.approx(0, abs=1e-7)
    assert float(made.double().std(correction=0)) == pytest.approx(1, abs=1e-6)
    turned = Part(train.images.rot90(1, (-2, -1)), train.labels)
    assert torch.equal(applied(turned, standardised(train)).images, made.rot90(1, (-2, -1))), "the same at every place"


def test_whitened_images_have_the_identity_as_covariance_but_for_each_images_mean() -> None:
    """Contrast normalisation takes one direction out of the images: there nothing is left, and nothing is blown up."""
    train = noise(CHUNK + 500, 0)
    made = applied(train, contrast_zca(train)).images.flatten(1).double()
    values, axes = torch.linalg.eigh(made.T.cov())
    assert float(values[0]) < 1e-6
    assert values[1:].tolist() == pytest.approx([1] * 31, abs=2e-3)
    constant = torch.full((32,), 32**-0.5, dtype=torch.float64)
    assert float(axes[:, 0] @ constant) ** 2 == pytest.approx(1, abs=1e-3)


def test_whitening_is_zca_by_its_definition() -> None:
    train, other = noise(600, 0), noise(5, 1)
    x = train.images.double()
    x = (x - x.mean((1, 2, 3), keepdim=True)) / x.std((1, 2, 3), keepdim=True)
    flat = x.flatten(1)
    axes, deviations, _ = torch.linalg.svd((flat - flat.mean(0)).T / (len(flat) - 1) ** 0.5, full_matrices=False)
    whitening = axes @ torch.diag(1 / (deviations + 1e-5)) @ axes.T
    y = other.images.double()
    y = (y - y.mean((1, 2, 3), keepdim=True)) / y.std((1, 2, 3), keepdim=True)
    expected = (y.flatten(1) - flat.mean(0)) @ whitening.T
    made = applied(other, contrast_zca(train)).images.flatten(1).double()
    assert float((made - expected).abs().max()) < 1e-5


def test_an_image_of_one_value_is_only_centred() -> None:
    train = noise(50, 0)
    flat = Part(torch.full((1, 2, 4, 4), 7.0), torch.zeros(1, dtype=torch.int64))
    assert applied(flat, contrast_zca(train)).images.isfinite().all()


def fitting(resize: Literal["none", "pillow-bilinear"] = "none", **changes: Any) -> BenchmarkCard:
    card = Registry.load().benchmark("quickstart")
    scale = Input(channels=1, resize=resize, mean=(0.0,), std=(1.0,), **changes)
    return card.model_copy(update={"input": scale})


@pytest.mark.parametrize("kind", ["standardised", "contrast-zca"])
def test_only_training_images_are_looked_at(kind: str) -> None:
    part = noise(1300, 0, channels=1)
    one = shares_of(fitting(fitted=kind), {"all": part}, seed=0)
    assert one.train.images.dtype == torch.float32
    spoiled = Part(part.images.clone(), part.labels)
    plain = shares_of(fitting(), {"all": part}, seed=0)
    card = fitting().split
    others = torch.ones(1300, dtype=torch.bool)
    others[split_indices({"all": 1300}, card, order_seed("quickstart", 0, card))["train"]] = False
    spoiled.images[others] *= 3
    other = shares_of(fitting(fitted=kind), {"all": spoiled}, seed=0)
    assert torch.equal(one.train.images, other.train.images)
    assert torch.equal(one.train.labels, plain.train.labels)
    assert (len(one.train), len(one.test)) == (800, 400)


def test_images_are_shown_as_if_they_had_been_resized_twice_by_pillow() -> None:
    draws = torch.Generator().manual_seed(3)
    part = Part(torch.randint(256, (1300, 1, 8, 8), generator=draws, dtype=torch.uint8), torch.arange(1300) % 2)
    enlarged = fitting(resize="pillow-bilinear", source_size=14)
    validated = enlarged.split.model_copy(update={"validation": Share(part="all", images=60)})
    enlarged = enlarged.model_copy(update={"split": validated})
    plain = shares_of(fitting().model_copy(update={"split": validated}), {"all": part}, seed=0)
    found = shares_of(enlarged, {"all": part}, seed=0)
    assert plain.validation is not None
    assert found.validation is not None
    pairs = ((plain.train, found.train), (plain.validation, found.validation), (plain.test, found.test))
    for before, after in pairs:
        assert torch.equal(before.labels, after.labels)
        shown = prepare(after, enlarged.input, 8).pixels
        for image, made in zip(before.images[:50, 0], shown[:50, 0], strict=True):
            twice = Image.fromarray(image.numpy()).resize((14, 14), BILINEAR).resize((8, 8), BILINEAR)
            assert np.array_equal(np.asarray(twice), made.numpy())


def test_a_source_size_asks_for_8_bit_images_and_for_resizing() -> None:
    with pytest.raises(UserError, match="source_size resizes 8-bit images, but these are float32"):
        shares_of(fitting(resize="pillow-bilinear", source_size=14), {"all": noise(1300, 0, channels=1)}, seed=0)
    with pytest.raises(ValueError, match="source_size needs resize: pillow-bilinear"):
        Input(channels=1, resize="none", source_size=14, mean=(0.0,), std=(1.0,))


def test_a_limit_holds_for_every_share() -> None:
    few = shares_of(fitting(fitted="standardised"), {"all": noise(1300, 0, channels=1)}, seed=0, limit=64)
    assert (len(few.train), few.validation, len(few.test)) == (64, None, 64)
    assert float(few.train.images.double().std(correction=0)) == pytest.approx(1, abs=1e-6)


def test_nothing_is_fitted_where_nothing_is_asked_for() -> None:
    part = noise(1300, 0, channels=1)
    shares = shares_of(fitting(), {"all": part}, seed=0)
    assert {float(value) for value in shares.train.images[:, 0, 0, 0]} <= {float(v) for v in part.images[:, 0, 0, 0]}
