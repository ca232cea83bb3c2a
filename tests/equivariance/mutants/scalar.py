"""Changes to ordinary networks with isotropic filters: filters, norms, attention, transposed convolutions, heads."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.equivariance.mutants.mutant import ALL, HALF, MIRROR, NONE, TURNS, UPRIGHT, Change, Moves
from tests.equivariance.mutants.networks import Function, Squeeze, conv
from tests.equivariance.mutants.spatial import Code, averaged, coordinates, of
from tests.equivariance.symmetric import isotropic

Make = Callable[[int, int], nn.Module]

# filters


class Taps(nn.Module):
    """A convolution with isotropic filters, of which some taps (row, column) are then changed by so much."""

    def __init__(self, channels: int, kernel: int, taps: dict[tuple[int, int], float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(channels, channels, kernel, kernel) / kernel**2)
        change = torch.zeros(channels, channels, kernel, kernel, dtype=torch.float64)
        for (row, column), size in taps.items():
            change[0, 0, row, column] = size
        self.register_buffer("change", change)

    def forward(self, features: Tensor) -> Tensor:
        weight = averaged(self.weight, "all") + self.get_buffer("change").to(self.weight.dtype)
        return F.conv2d(features, weight, padding=weight.shape[-1] // 2)


PATTERNS: dict[str, tuple[int, list[tuple[int, int]], Moves]] = {
    "one tap": (3, [(0, 0)], NONE),
    "the middle tap": (3, [(1, 1)], ALL),
    "two opposite corners": (3, [(0, 0), (2, 2)], HALF),
    "two corners on one side": (3, [(0, 0), (0, 2)], MIRROR),
    "above and below": (3, [(0, 1), (2, 1)], UPRIGHT),
    "all corners": (3, [(0, 0), (0, 2), (2, 0), (2, 2)], ALL),
    "three corners": (3, [(0, 0), (0, 2), (2, 0)], NONE),
    "a pinwheel": (5, [(0, 1), (1, 4), (4, 3), (3, 0)], TURNS),
    "a pinwheel with a tap too few": (5, [(0, 1), (1, 4), (4, 3)], NONE),
    "a pinwheel and its mirror image": (5, [(0, 1), (1, 4), (4, 3), (3, 0), (0, 3), (3, 4), (4, 1), (1, 0)], ALL),
}
MAGNITUDES = [10.0**-power for power in range(9)]


def taps(places: list[tuple[int, int]], size: float = 0.3, kernel: int = 3) -> Make:
    return lambda channels, _: Taps(channels, kernel, dict.fromkeys(places, size))


def frozen(module: nn.Module) -> nn.Module:
    """The module with filters that no optimiser changes, isotropic as they are."""
    for parameter in module.parameters():
        parameter.requires_grad_(False)
        if parameter.ndim == 4:
            parameter.data = averaged(parameter.data.double(), "all")
    return module


def thawed(module: nn.Module) -> nn.Module:
    """The module with filters that are isotropic as they are, and need not stay so."""
    return frozen(module).requires_grad_()


class Wide(nn.Module):
    """A module in float64 whatever the network is in."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, features: Tensor) -> Tensor:
        out: Tensor = self.inner(features.to(next(self.inner.parameters()).dtype))
        return out.to(features.dtype)


def filters() -> Iterator[Change]:
    for name, (kernel, places, moves) in PATTERNS.items():
        yield Change(f"{name} of an isotropic filter changed", taps(places, kernel=kernel), moves)
    for size in MAGNITUDES:
        yield Change(f"a tap of an isotropic filter changed by {size:.0e}", taps([(0, 1)], size), NONE)
    bank: dict[str, tuple[Make, Moves]] = {
        "an ordinary convolution": (lambda c, _: nn.Conv2d(c, c, 3, padding=1), NONE),
        "a pointwise convolution": (lambda c, _: nn.Conv2d(c, c, 1), ALL),
        "isotropic filters, frozen": (lambda c, _: Wide(frozen(nn.Conv2d(c, c, 3, padding=1).double())), ALL),
        "filters isotropic as given only": (lambda c, _: Wide(thawed(nn.Conv2d(c, c, 3, padding=1).double())), NONE),
        "rows, then columns": (
            lambda c, _: nn.Sequential(nn.Conv2d(c, c, (1, 3), padding=(0, 1)), nn.Conv2d(c, c, (3, 1))),
            NONE,
        ),
        "a convolution of size 1×5, symmetric": (lambda c, _: Row(c, both=False), UPRIGHT),
        "convolutions of size 1×5 and 5×1 that share weights, added": (lambda c, _: Row(c, both=True), ALL),
        "dilated isotropic filters": (lambda c, _: conv(c, c, padding=2, dilation=2), ALL),
        "isotropic filters, circular padding": (lambda c, _: conv(c, c, padding_mode="circular"), ALL),
        "isotropic filters, reflected padding": (lambda c, _: conv(c, c, padding_mode="reflect"), ALL),
        "isotropic filters of even size, 'same'": (lambda c, _: conv(c, c, 4, padding="same"), NONE),
        "transposed convolution, 2×2, stride 2": (lambda c, _: up(c, 2, stride=2), ALL),
        "transposed convolution, 3×3, stride 2": (lambda c, _: up(c, 3, stride=2, padding=1), ALL),
        "transposed convolution, 3×3, stride 2, a pixel more": (
            lambda c, _: up(c, 3, stride=2, padding=1, output_padding=1),
            NONE,
        ),
        "transposed convolution, 4×4, stride 2": (lambda c, _: up(c, 4, stride=2, padding=1), ALL),
        "pixels shuffled from channels": (lambda c, _: nn.Sequential(nn.Conv2d(c, 4 * c, 1), nn.PixelShuffle(2)), NONE),
        "pixels shuffled into channels, mixed": (
            lambda c, _: nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4 * c, c, 1)),
            NONE,
        ),
        "pixels shuffled into channels, added": (lambda *_: Function(unshuffled_sum), ALL),
        "patches of three, at nine pixels": (lambda c, _: conv(c, c, 3, stride=3, padding=0), ALL),
    }
    for name, (make, moves) in bank.items():
        yield Change(name, make, moves, 9 if "nine" in name else 10)
    yield Change("patches of three, at ten pixels", bank["patches of three, at nine pixels"][0], NONE, 10)


class Row(nn.Module):
    """A symmetric filter along the rows; with `both` along the columns as well."""

    def __init__(self, channels: int, both: bool) -> None:
        super().__init__()
        self.taps, self.both = nn.Parameter(torch.randn(channels, channels, 1, 3) / 4), both

    def forward(self, features: Tensor) -> Tensor:
        weight = torch.cat([self.taps, self.taps[..., :-1].flip(-1)], -1)
        rows = F.conv2d(features, weight, padding=(0, 2))
        return rows + F.conv2d(features, weight.mT, padding=(2, 0)) if self.both else rows


def up(channels: int, kernel: int, **options: Any) -> nn.Module:
    return isotropic(nn.ConvTranspose2d(channels, channels, kernel, **options))


def unshuffled_sum(features: Tensor) -> Tensor:
    phases: Tensor = F.pixel_unshuffle(features, 2).unflatten(1, (-1, 4))
    return phases.sum(2)


# norms and nonlinearities


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel, as ConvNeXt has it."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, features: Tensor) -> Tensor:
        normed: Tensor = self.norm(features.movedim(1, -1)).movedim(-1, 1)
        return normed


def norms() -> Iterator[Change]:
    made: dict[str, tuple[Make, Moves]] = {
        "instance norm with weights": (lambda c, _: nn.InstanceNorm2d(c, affine=True), ALL),
        "group norm": (lambda c, _: nn.GroupNorm(2, c), ALL),
        "layer norm over channels": (lambda c, _: ChannelNorm(c), ALL),
        "layer norm over all, without weights": (
            lambda c, n: nn.LayerNorm([c, n, n], elementwise_affine=False),
            ALL,
        ),
        "layer norm over all, with weights": (lambda c, n: nn.LayerNorm([c, n, n]), NONE),
        "layer norm along rows": (lambda _, n: nn.LayerNorm(n, elementwise_affine=False), UPRIGHT),
        "local response norm": (lambda *_: nn.LocalResponseNorm(3), ALL),
        "batch norm": (lambda c, _: nn.BatchNorm2d(c), ALL),
        "batch norm by the batch's statistics": (lambda c, _: nn.BatchNorm2d(c, track_running_stats=False), ALL),
        "softmax over channels": (lambda *_: nn.Softmax(1), ALL),
        "softmax over all pixels": (lambda *_: Function(lambda x: 50 * x.flatten(2).softmax(-1).view_as(x)), ALL),
        "softmax along rows": (lambda *_: Function(lambda x: 10 * x.softmax(-1)), UPRIGHT),
        "cumulative sums along rows": (lambda *_: Function(lambda x: x.cumsum(-1)), NONE),
        "channels shuffled": (lambda *_: nn.ChannelShuffle(2), ALL),
        "gated channels": (lambda c, _: nn.Sequential(nn.Conv2d(c, 2 * c, 1), nn.GLU(1)), ALL),
        "slopes of each channel": (lambda c, _: nn.PReLU(c), ALL),
        "squeeze and excitation": (lambda c, _: Squeeze(c), ALL),
        "signs": (lambda *_: Function(lambda x: (x - x.mean((-2, -1), keepdim=True)).sign()), ALL),
        "rounded to sixteenths": (lambda *_: Function(lambda x: (16 * x).round() / 16), ALL),
        "dropout, off in evaluation": (lambda *_: nn.Dropout2d(0.5), ALL),
        "pixels sorted": (lambda *_: Function(lambda x: x.flatten(2).sort(-1)[0].view_as(x)), ALL),
        "rows sorted": (lambda *_: Function(lambda x: x.sort(-1)[0]), UPRIGHT),
    }
    for name, (make, moves) in made.items():
        yield Change(name, make, moves)


# attention


class Attention(nn.Module):
    """Self-attention over all pixels, with a bias for pairs of pixels: none, learnt for offsets or for distances."""

    def __init__(self, channels: int, size: int, bias: str = "") -> None:
        super().__init__()
        self.mix, self.scale = nn.Linear(channels, 3 * channels), channels**-0.5
        places = torch.cartesian_prod(torch.arange(size), torch.arange(size))
        offset = places[:, None] - places[None]
        kinds = offset.square().sum(-1) if bias == "distances" else (offset + size) @ torch.tensor([2 * size, 1])
        self.register_buffer("kinds", kinds)
        self.bias = nn.Parameter(torch.randn(4 * size * size)) if bias else None

    def forward(self, features: Tensor) -> Tensor:
        query, key, value = self.mix(features.flatten(2).mT).chunk(3, -1)
        scores = query @ key.mT * self.scale
        if self.bias is not None:
            scores = scores + self.bias[self.get_buffer("kinds")]
        mixed: Tensor = (scores.softmax(-1) @ value).mT.unflatten(-1, features.shape[-2:])
        return features + mixed


class Axial(nn.Module):
    """Attention along rows and along columns: one after the other, or both added with the same or other weights."""

    def __init__(self, channels: int, how: str) -> None:
        super().__init__()
        self.how, self.rows = how, nn.Linear(channels, 3 * channels)
        self.columns = self.rows if how == "shared" else nn.Linear(channels, 3 * channels)

    def forward(self, features: Tensor) -> Tensor:
        rows = self.along(features, self.rows)
        if self.how == "sequential":
            return self.along(rows.mT, self.columns).mT
        return rows + self.along(features.mT, self.columns).mT

    def along(self, features: Tensor, mix: nn.Module) -> Tensor:
        query, key, value = mix(features.permute(0, 2, 3, 1)).chunk(3, -1)
        mixed: Tensor = (query @ key.mT).softmax(-1) @ value
        return features + mixed.permute(0, 3, 1, 2)


class Windows(nn.Module):
    """Attention within windows, after the features were rolled by so many pixels, as Swin does."""

    def __init__(self, channels: int, window: int, rolled: int) -> None:
        super().__init__()
        self.window, self.rolled, self.inner = window, rolled, Attention(channels, window)

    def forward(self, features: Tensor) -> Tensor:
        wide, count = self.window, features.shape[-1] // self.window
        rolled = features.roll((-self.rolled, -self.rolled), (-2, -1))
        windows = rolled.unflatten(-1, (count, wide)).unflatten(-3, (count, wide)).permute(0, 2, 4, 1, 3, 5)
        made: Tensor = self.inner(windows.flatten(0, 2)).unflatten(0, (-1, count, count))
        whole = made.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3)
        return whole.roll((self.rolled, self.rolled), (-2, -1))


def attention() -> Iterator[Change]:
    made: dict[str, tuple[Make, Moves, int]] = {
        "over all pixels": (lambda c, n: Attention(c, n), ALL, 8),
        "over all pixels, with a learnt code": (
            lambda c, n: nn.Sequential(Code(n, "learnt"), Attention(c, n)),
            NONE,
            8,
        ),
        "over all pixels, biased by offsets": (lambda c, n: Attention(c, n, "offsets"), NONE, 8),
        "over all pixels, biased by distances": (lambda c, n: Attention(c, n, "distances"), ALL, 8),
        "along rows, then columns": (lambda c, _: Axial(c, "sequential"), UPRIGHT, 8),
        "along rows and columns, shared": (lambda c, _: Axial(c, "shared"), ALL, 8),
        "along rows and columns, apart": (lambda c, _: Axial(c, "apart"), UPRIGHT, 8),
        "in windows": (lambda c, _: Windows(c, 3, 0), ALL, 9),
        "in windows rolled by half": (lambda c, _: Windows(c, 4, 2), ALL, 12),
        "in windows rolled by one": (lambda c, _: Windows(c, 3, 1), NONE, 9),
    }
    for name, (make, moves, size) in made.items():
        yield Change(f"attention {name}", make, moves, size)


# heads: from features to the numbers that the last layer takes


class Flat(nn.Module):
    """A matrix over all pixels, as given or averaged over all moves."""

    def __init__(self, channels: int, size: int, mean: str = "") -> None:
        super().__init__()
        self.weight, self.mean = nn.Parameter(torch.randn(channels, channels, size, size) / size), mean

    def forward(self, features: Tensor) -> Tensor:
        weight = averaged(self.weight, self.mean) if self.mean else self.weight
        return torch.einsum("bchw,ochw->bo", features, weight)[..., None, None]


def heads() -> Iterator[Change]:
    def weights(x: Tensor) -> Tensor:
        return x.sum(1, keepdim=True).flatten(2).softmax(-1).view(len(x), 1, *x.shape[-2:])

    def softargmax(x: Tensor) -> tuple[Tensor, Tensor]:
        soft = (4 * x).flatten(2).softmax(-1).view_as(x)
        return tuple((soft * one).sum((-2, -1)) for one in coordinates(x))  # type: ignore[return-value]

    functions: dict[str, tuple[Callable[[Tensor], Tensor], Moves, int]] = {
        "the maximum": (lambda x: x.amax((-2, -1)), ALL, 10),
        "the generalised mean": (lambda x: (x.relu() + 0.1).pow(3).mean((-2, -1)).pow(1 / 3), ALL, 10),
        "logsumexp": (lambda x: x.logsumexp((-2, -1)), ALL, 10),
        "the standard deviation": (lambda x: x.std((-2, -1)), ALL, 10),
        "the median": (lambda x: x.flatten(2).median(-1)[0], ALL, 10),
        "the second largest": (lambda x: x.flatten(2).sort(-1)[0][..., -2], ALL, 10),
        "the middle pixel": (lambda x: x[..., 4, 4], ALL, 9),
        "pixel n/2": (lambda x: x[..., 5, 5], NONE, 10),
        "the first pixel": (lambda x: x[..., 0, 0], NONE, 10),
        "the sum of the corners": (lambda x: x[..., 0, 0] + x[..., 0, -1] + x[..., -1, 0] + x[..., -1, -1], ALL, 10),
        "the sum of two corners": (lambda x: x[..., 0, 0] + x[..., -1, -1], HALF, 10),
        "the largest column": (lambda x: x.sum(-2).amax(-1), UPRIGHT, 10),
        "the largest row or column": (lambda x: torch.maximum(x.sum(-2).amax(-1), x.sum(-1).amax(-1)), ALL, 10),
        "the mean weighted by attention": (lambda x: (x * weights(x)).sum((-2, -1)), ALL, 10),
        "where the soft maximum is, x": (lambda x: softargmax(x)[1], NONE, 10),
        "where the soft maximum is, x²": (lambda x: softargmax(x)[1].square(), UPRIGHT, 10),
        "how far out the soft maximum is": (lambda x: torch.hypot(*softargmax(x)), ALL, 10),
        "the number of the brightest pixel": (lambda x: x.flatten(2).argmax(-1).to(x.dtype) / 100, NONE, 10),
        "the largest quadrant": (lambda x: F.adaptive_avg_pool2d(x, 2).amax((-2, -1)), ALL, 10),
        "the first quadrant": (lambda x: F.adaptive_avg_pool2d(x, 2)[..., 0, 0], NONE, 10),
        "covariances of channels": (lambda x: torch.einsum("bchw,bdhw->bc", x, x.square()), ALL, 10),
        "magnitudes of frequencies": (lambda x: torch.fft.fft2(x).abs().sqrt().mean((-2, -1)), ALL, 10),
        "magnitudes of half the frequencies": (lambda x: torch.fft.rfft2(x).abs().sqrt().mean((-2, -1)), UPRIGHT, 10),
        "phases of frequencies": (lambda x: torch.fft.fft2(x)[..., 1:3, 1:3].real.sum((-2, -1)), NONE, 10),
        "the mean in a ring": (lambda x: (x * ring(x)).sum((-2, -1)), ALL, 10),
    }
    for name, (function, moves, size) in functions.items():
        yield of(f"the head takes {name}", partial(as_pixel, function), moves, size, "pool")
    for mean, made in (("", NONE), ("turns", TURNS), ("all", ALL)):
        text = f"the head is a matrix over all pixels{', averaged: ' + mean if mean else ''}"
        yield Change(text, partial(Flat, mean=mean), made, place="pool")


def as_pixel(function: Callable[[Tensor], Tensor], features: Tensor) -> Tensor:
    """What a function gives, (batch, channels), as features of one pixel."""
    return function(features)[..., None, None]


def ring(features: Tensor) -> Tensor:
    y, x = coordinates(features)
    radius = (x.square() + y.square()).sqrt()
    inside: Tensor = ((radius > 0.3) & (radius < 0.7)).to(features.dtype)
    return inside / math.sqrt(inside.numel())


SCALAR_CHANGES: dict[str, Callable[[], Iterator[Change]]] = {
    "filters": filters,
    "norms and nonlinearities": norms,
    "attention": attention,
    "heads": heads,
}
