from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_digits
from torch import Tensor

from gcnnbench.data import resize as module
from gcnnbench.data.resize import resize


def by_pillow(images: Tensor, size: int) -> Tensor:
    resized = [
        np.stack([np.asarray(Image.fromarray(grey).resize((size, size), Image.Resampling.BILINEAR)) for grey in one])
        for one in images.numpy()
    ]
    return torch.from_numpy(np.stack(resized))


def digits() -> Tensor:
    return torch.from_numpy((load_digits().images * 255 / 16 + 0.5).astype(np.uint8))[:300, None]


def pictures(size: int, channels: int) -> Tensor:
    """Noise, a gradient, and black and white in the finest checks: all that rounding and clipping can trip over."""
    noise = torch.randint(256, (20, channels, size, size), generator=torch.Generator().manual_seed(size))
    across = torch.arange(size)
    gradient = (across * 255 // (size - 1)).expand(1, channels, size, size)
    checks = ((across[:, None] + across) % 2 * 255).expand(1, channels, size, size)
    return torch.cat([noise, gradient, checks]).to(torch.uint8)


@pytest.mark.parametrize("size", [1, 5, 7, 9, 15, 16, 17, 28])
def test_real_digits_are_resized_as_by_pillow(size: int) -> None:
    assert torch.equal(resize(digits(), size), by_pillow(digits(), size))


@pytest.mark.parametrize(
    ("old", "channels", "size"),
    [
        (28, 1, 27),
        (28, 1, 29),
        (28, 1, 14),
        (32, 3, 33),
        (32, 3, 31),
        (32, 3, 9),
        (32, 3, 100),
        (96, 3, 97),
        (96, 3, 2),
    ],
)
def test_any_size_is_resized_as_by_pillow(old: int, channels: int, size: int) -> None:
    images = pictures(old, channels)
    assert torch.equal(resize(images, size), by_pillow(images, size))


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = resize(digits(), 9)
    monkeypatch.setattr(module, "CHUNK", 500)
    assert torch.equal(resize(digits(), 9), whole)


def test_the_same_size_changes_nothing() -> None:
    images = pictures(8, 1)
    assert resize(images, 8) is images


def test_no_images_are_resized_to_no_images() -> None:
    assert resize(torch.zeros(0, 3, 8, 8, dtype=torch.uint8), 9).shape == (0, 3, 9, 9)


def test_other_tensors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must be uint8 and square.*torch\.float32 \(1, 1, 8, 8\)"):
        resize(torch.zeros(1, 1, 8, 8), 9)
    with pytest.raises(ValueError, match=r"must be uint8 and square.*torch\.uint8 \(1, 1, 8, 9\)"):
        resize(torch.zeros(1, 1, 8, 9, dtype=torch.uint8), 9)
    with pytest.raises(ValueError, match=r"size \(=0\) must be at least 1"):
        resize(pictures(8, 1), 0)
