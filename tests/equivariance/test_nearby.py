"""Whether sampling is to blame is read from other sizes: which ones count, and what is said where none does."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from gcnnbench.equivariance.assertion import assert_equivariant
from gcnnbench.equivariance.audit import Audit, audit
from gcnnbench.equivariance.explanation import explain
from gcnnbench.equivariance.nearby import TRIES, Nearby
from gcnnbench.equivariance.size_audit import IN_FLOAT32
from gcnnbench.equivariance.wording import words
from gcnnbench.nn.groups import CIRCULAR_SHIFTS, P4
from tests.equivariance.small_network import conv

HEAD = (nn.AdaptiveAvgPool2d(1), nn.Flatten())


def read(make: Callable[[int], nn.Module], *sizes: int) -> list[str]:
    found = audit(make, sizes, channels=1)
    return [words(found, row) for row in found.sizes]


def flattened(size: int) -> nn.Module:
    """Equivariant but for the linear layer, which sees one pixel from 16 to 31."""
    return nn.Sequential(conv(1, 4), nn.AvgPool2d(16), nn.Flatten(), nn.Linear(4 * (size // 16) ** 2, 5))


def test_a_size_of_one_pixel_does_not_show_that_the_layers_are_equivariant() -> None:
    assert read(flattened, 32) == ["not equivariant"]
    assert read(flattened, 16, 32) == ["not proved; measured exact", "not equivariant"]
    assert "no input size repairs this" in explain(flattened, 32, channels=1)


def test_where_there_is_one_pixel_here_too_it_does() -> None:
    assert read(flattened, 17) == ["approximate"]


class Cut(nn.Module):
    """The largest of each window of four pixels, cut without an operation whose sampling is known, a layer behind."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.conv, self.linear = conv(1, 4), nn.Linear(4 * (size // 4) ** 2, 5)

    def forward(self, images: Tensor) -> Tensor:
        windows = self.conv(images).unfold(2, 4, 4).unfold(3, 4, 4).amax((-2, -1))
        logits: Tensor = self.linear(windows.flatten(1))
        return logits


class Shrunk(nn.Module):
    """Ordinary convolutions and windows of two while more than four pixels are left; below, none at all."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        while images.shape[-1] > 4:
            images = self.conv(images).unfold(2, 2, 2).unfold(3, 2, 2).amax((-2, -1))
        return torch.stack([images.mean((1, 2, 3)), images.amax((1, 2, 3))], 1)


def test_where_what_is_left_is_not_known_a_smaller_size_shows_nothing() -> None:
    assert read(Cut, 8) == ["not equivariant"]
    network = Shrunk()
    assert read(lambda _: network, 12) == ["not equivariant"]


class Attention(nn.Module):
    """Without positions: equivariant but for the pooling, by products that the certificate does not follow."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.pool, self.parts = conv(1, 4), nn.AvgPool2d(4), nn.Linear(4, 12)

    def forward(self, images: Tensor) -> Tensor:
        query, key, value = self.parts(self.pool(self.conv(images)).flatten(2).mT).chunk(3, -1)
        mixed: Tensor = ((query @ key.mT).softmax(-1) @ value).mean(1)
        return mixed


class Windows(nn.Module):
    """The largest of each 3×3 window in steps of two, by an operation whose sampling is not known."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(1, 4)

    def forward(self, images: Tensor) -> Tensor:
        windows = self.conv(images).unfold(2, 3, 2).unfold(3, 3, 2)
        means: Tensor = windows.amax((-2, -1)).mean((2, 3))
        return means


@pytest.mark.parametrize(("make", "size", "nearest"), [(Attention, 13, (12, 16)), (Windows, 12, (11, 13))])
def test_a_size_whose_sampling_is_unknown_is_measured(
    make: Callable[[], nn.Module], size: int, nearest: tuple[int, ...]
) -> None:
    network = make()
    (row,) = audit(network, [size], channels=1, nearest=True).sizes
    assert row.nearest == nearest
    told = explain(network, size, channels=1)
    assert f"resize the images to {nearest[0]} " in told
    with pytest.raises(AssertionError, match=f"use {nearest[0]} instead of {size}"):
        assert_equivariant(network, sizes=[size], channels=1)


def test_a_size_that_one_element_breaks_is_not_audited_further(monkeypatch: pytest.MonkeyPatch) -> None:
    audited: list[int] = []
    monkeypatch.setattr("gcnnbench.equivariance.nearby.audit_size", lambda _, size, *__: audited.append(size))
    plain = nn.Sequential(nn.Conv2d(1, 4, 3), *HEAD)
    nearby = Nearby(lambda _: plain, P4, 1)
    (row,) = audit(plain, [8], channels=1).sizes
    assert [other.size for other in nearby.looked_at(row, [9, 10, 11])] == [9, 10]
    assert audited == []


class Ordinary(nn.Module):
    """An ordinary convolution behind windows of two, cut without an operation whose sampling is known."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, images: Tensor) -> Tensor:
        means: Tensor = self.conv(images.unfold(2, 2, 2).unfold(3, 2, 2).amax((-2, -1))).relu().mean((2, 3))
        return means


class InFloat32(nn.Module):
    """Windows of two, cut so, and a break that float32 leaves open."""

    def forward(self, images: Tensor) -> Tensor:
        pooled = images.unfold(2, 2, 2).unfold(3, 2, 2).amax((-2, -1))
        means = pooled.mean((2, 3))
        return torch.cat([means, means + 2e-7 * pooled[:, :, 0, 1]], 1)


@pytest.mark.parametrize(("make", "told"), [(Ordinary, "not equivariant"), (InFloat32, "unknown")])
def test_the_search_ends_after_as_many_sizes_as_it_says(make: Callable[[], nn.Module], told: str) -> None:
    network = make()
    found = audit(network, [12], channels=1)
    (row,) = found.sizes
    assert [other.size for other in found.nearby.looked_at(row, range(13, 60))] == [*range(13, 13 + TRIES["unknown"])]
    assert words(found, row) == told


@pytest.mark.parametrize(("part", "read"), [(2e-7, "unknown"), (1e-4, "not equivariant")])
def test_a_neighbour_that_float32_leaves_open_convicts_nobody(part: float, read: str) -> None:
    class Slightly(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            pooled = nn.functional.max_pool2d(images, 2)
            means = pooled.mean((-2, -1))
            return torch.cat([means, means + part * pooled[:, :, 0, 1]], 1)

    network = Slightly()
    found = audit(network, [13], channels=1)
    assert words(found, found.sizes[0]) == read


def test_what_was_looked_at_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    network, seen = Attention(), list[int]()
    monkeypatch.setattr(Nearby, "_audited", lambda _, size: seen.append(size))
    found = audit(network, [13], channels=1, nearest=True)
    words(found, found.sizes[0])
    assert len(seen) == len(set(seen)) > 30


def halved() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 4, 1), nn.Upsample(scale_factor=0.5), *HEAD)


def test_of_layers_behind_sampling_that_every_size_breaks_nothing_is_said() -> None:
    network = halved()
    assert read(lambda _: network, 12, 13) == ["broken at every size"] * 2
    assert "no input size nearby repairs this: sampling breaks it at each that it takes" in explain(
        network, 12, channels=1
    )
    with pytest.raises(AssertionError, match=r"(?s)is broken at every size.*no input size nearby repairs this"):
        assert_equivariant(network, sizes=[12], channels=1)


def test_a_stride_is_repaired_under_shifts_and_keeps_its_padding() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3, 2, 1, padding_mode="circular"), nn.ReLU(), *HEAD)
    told = explain(network, 12, CIRCULAR_SHIFTS, channels=1)
    assert "at 12 under shifts: broken at every size" in told
    assert "adaptive polyphase sampling in the layers that break" in told
    assert (
        "nn.Conv2d(1, 4, 3, stride=1, padding=1, padding_mode='circular'), AdaptivePolyphaseSampling(TRIVIAL))" in told
    )


class Wavelet(nn.Module):
    """Four turns of one wavelet, computed and not turned, and its largest answer at each pixel."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        steps = torch.arange(-3, 4, dtype=dtype)
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        angles = torch.arange(4, dtype=dtype)[:, None, None] * math.pi / 2
        wave = torch.sin(2 * (x * angles.cos() + y * angles.sin()))
        self.bank = nn.Buffer((torch.exp(-(x * x + y * y) / 8) * wave)[:, None])
        self.head = nn.Sequential(*HEAD, nn.Linear(1, 5))

    def forward(self, images: Tensor) -> Tensor:
        answers = torch.nn.functional.conv2d(images, self.bank.to(images), padding=3)
        logits: Tensor = self.head(answers.amax(1, keepdim=True).relu())
        return logits


def test_what_was_made_in_float32_is_left_open_beside_a_broken_size_too() -> None:
    network = Wavelet(torch.float32)
    network.head.insert(0, nn.MaxPool2d(2))
    assert read(lambda _: network, 12, 13) == ["unknown", "unknown"]


class Offset(nn.Module):
    """A variance beside a large mean, which float32 loses, and a true break of one in ten thousand."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(1, 4)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images) + 3e3
        variance: Tensor = (maps * maps).mean((2, 3)) - maps.mean((2, 3)) ** 2
        return variance * (1 + 1e-4 * torch.tanh(images[:, :, 4, 6] + 2))


def test_a_break_that_rounding_in_float32_hides_is_left_open_and_says_so() -> None:
    (row,) = audit(Offset(), [12], channels=1).sizes
    assert row.decision == "unknown"
    assert "and in float32 by " in str(row.reason)


def wavelet(dtype: torch.dtype) -> tuple[Audit, str]:
    found = audit(Wavelet(dtype), [12], channels=1)
    return found, words(found, found.sizes[0])


def test_what_was_made_in_float32_is_left_open_and_said() -> None:
    found, read_as = wavelet(torch.float32)
    (row,) = found.sizes
    assert (row.decision, read_as, row.advice) == ("approximate", "unknown", IN_FLOAT32)
    assert row.document()["advice"] == IN_FLOAT32
    found, read_as = wavelet(torch.float64)
    assert (found.sizes[0].advice, read_as) == (None, "not proved; measured exact")


def test_a_break_that_is_larger_than_float32_resolves_is_one() -> None:
    class Slightly(nn.Module):
        def forward(self, images: Tensor) -> Tensor:
            means = images.mean((-2, -1))
            return torch.cat([means, means + 1e-4 * images[:, :, 0, 0]], 1)

    network = Slightly()
    assert read(lambda _: network, 12) == ["not equivariant"]


class Joined(nn.Module):
    """Puts out a map, joined of parts that the certificate knows to lie alike, and does not follow further."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = conv(1, 4)

    def forward(self, images: Tensor) -> Tensor:
        fine = self.conv(images)
        coarse = torch.nn.functional.interpolate(
            nn.functional.max_pool2d(fine, 2), size=fine.shape[-2:], mode="bilinear"
        )
        return torch.cat([fine, coarse], 1)


def test_an_output_with_four_axes_is_taken_for_a_map() -> None:
    (row,) = audit(Joined(), [13], channels=1).sizes
    assert row.advice is not None
    assert "ask with --output scalar" in row.advice
