"""Changes to how pixels are sampled, padded, moved and marked, which fit ordinary and group convolutional networks.

Truth by construction: a window of extent k that steps by s over n pixels, p of padding on each side, samples
symmetrically if s divides n + 2p − k.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.equivariance.mutants.mutant import ALL, HALF, NONE, TURNS, UPRIGHT, Change, Moves
from tests.equivariance.mutants.networks import Function

Features = Callable[[Tensor], Tensor]


def of(name: str, function: Features, moves: Moves | None, size: int = 10, place: str = "middle") -> Change:
    """A change that has no weights."""
    return Change(name, lambda *_: Function(function), moves, size, place)


# sampling


def blur(features: Tensor, stride: int = 1, padding: int = 1) -> Tensor:
    """A binomial blur of each channel."""
    row = torch.tensor([1.0, 2.0, 1.0], dtype=features.dtype)
    kernel = row.outer(row).expand(features.shape[1], 1, 3, 3) / 16
    return F.conv2d(features, kernel, stride=stride, padding=padding, groups=features.shape[1])


def moving_blur(features: Tensor) -> Tensor:
    """A blur with an even kernel, padded more behind than in front."""
    kernel = torch.ones(features.shape[1], 1, 2, 2, dtype=features.dtype) / 4
    return F.conv2d(F.pad(features, (0, 1, 0, 1)), kernel, groups=features.shape[1])


WINDOWS: dict[str, tuple[int, int, int, Features]] = {
    "2×2 max-pool, stride 2": (2, 2, 0, lambda x: F.max_pool2d(x, 2)),
    "3×3 max-pool, stride 2, padded": (3, 2, 1, lambda x: F.max_pool2d(x, 3, 2, 1)),
    "3×3 max-pool, stride 3": (3, 3, 0, lambda x: F.max_pool2d(x, 3)),
    "2×2 average pool, stride 2": (2, 2, 0, lambda x: F.avg_pool2d(x, 2)),
    "3×3 average pool, stride 2, padding not counted": (
        3,
        2,
        1,
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    ),
    "2×2 power pool, stride 2": (2, 2, 0, lambda x: F.lp_pool2d(x.relu() + 0.1, 2, 2)),
    "every second pixel": (1, 2, 0, lambda x: x[..., ::2, ::2]),
    "every third pixel": (1, 3, 0, lambda x: x[..., ::3, ::3]),
    "blurred, stride 2": (3, 2, 1, lambda x: blur(x, 2)),
    "blurred without padding, stride 2": (3, 2, 0, lambda x: blur(x, 2, 0)),
    "dilated 3×3 max-pool, stride 2": (5, 2, 0, lambda x: F.max_pool2d(x, 3, 2, 0, 2)),
    "3×3 max-pool, stride 2, up to the rim": (3, 2, 0, lambda x: F.max_pool2d(x, 3, 2, ceil_mode=True)),
    "2×2 average pool, stride 2, up to the rim": (2, 2, 0, lambda x: F.avg_pool2d(x, 2, ceil_mode=True)),
}


def sampling() -> Iterator[Change]:
    for name, (extent, stride, padding, function) in WINDOWS.items():
        for size in (9, 10, 12):
            symmetric = (size + 2 * padding - extent) % stride == 0
            yield of(name, function, ALL if symmetric else NONE, size)
    for size in (9, 10):
        yield of("adaptive average pool to 4×4", lambda x: F.adaptive_avg_pool2d(x, 4), ALL, size)
    yield of("adaptive max-pool to 4×4", lambda x: F.adaptive_max_pool2d(x, 4), ALL)
    yield of("adaptive max-pool to 4×6", lambda x: F.adaptive_max_pool2d(x, (4, 6)), UPRIGHT)
    yield of("2×1 max-pool", lambda x: F.max_pool2d(x, (2, 1)), UPRIGHT)
    yield of("every second pixel from the second", lambda x: x[..., 1::2, 1::2], ALL, 9)
    yield of("every second pixel from the second", lambda x: x[..., 1::2, 1::2], NONE, 10)


# padding, cropping and rolling


def padding() -> Iterator[Change]:
    for mode in ("constant", "reflect", "replicate", "circular"):
        for sides, moves in (((2, 2, 2, 2), ALL), ((0, 1, 0, 1), NONE), ((1, 1, 0, 0), UPRIGHT)):
            yield of(f"{mode} padding {sides}", partial(F.pad, pad=sides, mode=mode), moves)
    yield of("padding with ones", lambda x: F.pad(x, (1, 1, 1, 1), value=1.0), ALL)
    yield of("cropped on all sides", lambda x: x[..., 1:-1, 1:-1], ALL)
    yield of("cropped by negative padding", lambda x: F.pad(x, (-1, -1, -1, -1)), ALL)
    yield of("cropped on one side", lambda x: x[..., 1:, 1:], NONE)
    yield of("padded to a multiple of four", to_multiple, NONE, 10)
    yield of("padded to a multiple of four", to_multiple, ALL, 12)
    yield of("shifted by a pixel, zeros behind", lambda x: F.pad(x, (1, -1, 1, -1)), NONE)
    yield of("rolled by a pixel", lambda x: x.roll((1, 1), (-2, -1)), NONE)
    yield of("rolled by half the width", lambda x: x.roll((5, 5), (-2, -1)), ALL)
    yield of("rolled by nearly half the width", lambda x: x.roll((4, 4), (-2, -1)), NONE)
    yield of("blurred by an even kernel", moving_blur, NONE)
    yield of("rows padded alone", lambda x: F.pad(x, (0, 0, 1, 1), value=0.5), UPRIGHT)


def to_multiple(features: Tensor) -> Tensor:
    """Zeros on the right and below, as networks with windows do."""
    more = -features.shape[-1] % 4
    return F.pad(features, (0, more, 0, more), value=1.0)


# pairs of breaks that restore the symmetry, and such that do not


def pairs() -> Iterator[Change]:
    corners = [(row, column) for row in (0, 1) for column in (0, 1)]
    yield of("padded on one side and cropped there", lambda x: F.pad(x, (0, 1, 0, 1))[..., :-1, :-1] * 2, ALL)
    yield of("rolled, and rolled back", lambda x: x.roll(3, -1).relu().roll(-3, -1), ALL)
    yield of("rolled, and rolled back too far", lambda x: x.roll(3, -1).relu().roll(-4, -1), NONE)
    yield of("turned, and turned back", lambda x: x.rot90(1, (-2, -1)).tanh().rot90(-1, (-2, -1)), ALL)
    yield of("transposed twice", lambda x: x.mT.tanh().mT, ALL)
    yield of("flipped twice", lambda x: x.flip(-1).tanh().flip(-1), ALL)
    yield of("the sum of all four phases", lambda x: stacked(x[..., r::2, c::2] for r, c in corners), ALL)
    yield of("the sum of two opposite phases", lambda x: x[..., ::2, ::2] + x[..., 1::2, 1::2], HALF)
    yield of("the sum of three phases", lambda x: stacked(x[..., r::2, c::2] for r, c in corners[1:]), NONE)
    yield of("pools from four corners", four_pools, ALL, 9)
    yield of("pools from three corners", lambda x: four_pools(x, 3), NONE, 9)
    yield of("padded on each side in turn", four_pads, ALL)
    yield of("a slice and a crop that meet in the middle", lambda x: x[..., :7:2, :7:2][..., 1:, 1:], ALL, 9)
    yield of("a slice and a crop that miss the middle", lambda x: x[..., :7:2, :7:2][..., 1:, 1:], NONE, 10)
    yield of("a ramp added and taken away", lambda x: (x + ramp(x)) - ramp(x), ALL)
    yield of("a ramp multiplied and divided", lambda x: x * (2 + ramp(x)) / (2 + ramp(x)), ALL)
    yield of("a ramp added and another taken away", lambda x: (x + ramp(x)) - 0.999 * ramp(x), NONE)
    yield of("a ramp and the ramps from all sides", lambda x: x + ramp(x) + ramp(x).flip(-1), None)
    yield of("ramps from all four sides", all_ramps, ALL)
    yield of("pooled, then spread and cropped", lambda x: F.interpolate(F.max_pool2d(x, 2), 10), ALL)
    yield of("images flipped first", lambda x: x.flip(-1), ALL, place="first")
    yield of("images transposed first", lambda x: x.mT, ALL, place="first")
    yield of("images rolled first", lambda x: x.roll(1, -1), NONE, place="first")


def stacked(parts: Iterator[Tensor]) -> Tensor:
    return torch.stack(list(parts)).sum(0)


def four_pools(features: Tensor, corners: int = 4) -> Tensor:
    """Max-pools whose windows start in each corner, turned back and added."""
    turned = (F.max_pool2d(features.rot90(k, (-2, -1)), 2).rot90(-k, (-2, -1)) for k in range(corners))
    return stacked(turned)


def four_pads(features: Tensor) -> Tensor:
    """Blurs by an even kernel in all four directions, added."""
    return stacked(moving_blur(features.rot90(k, (-2, -1))).rot90(-k, (-2, -1)) for k in range(4))


def ramp(features: Tensor) -> Tensor:
    """Numbers from −1 to 1, left to right."""
    return torch.linspace(-1, 1, features.shape[-1], dtype=features.dtype).expand(features.shape[-2:])


def all_ramps(features: Tensor) -> Tensor:
    return features * stacked((ramp(features) ** 2).rot90(k, (-2, -1)) for k in range(4))


# marks of positions


def coordinates(features: Tensor) -> tuple[Tensor, Tensor]:
    """(y, x), each from −1 to 1."""
    x = ramp(features)
    return x.mT, x


MARKS: dict[str, tuple[Callable[[Tensor, Tensor], Tensor], Moves]] = {
    "x": (lambda _, x: x, NONE),
    "y": (lambda y, _: y, NONE),
    "|x|": (lambda _, x: x.abs(), UPRIGHT),
    "|x| + |y|": (lambda y, x: x.abs() + y.abs(), ALL),
    "the radius": (lambda y, x: (x.square() + y.square()).sqrt(), ALL),
    "xy": (lambda y, x: x * y, HALF),
    "(xy)²": (lambda y, x: (x * y).square(), ALL),
    "x² − y²": (lambda y, x: x.square() - y.square(), UPRIGHT),
    "x³y − xy³": (lambda y, x: x**3 * y - x * y**3, TURNS),
    "sin πx": (lambda _, x: torch.sin(torch.pi * x), NONE),
    "cos πx + cos πy": (lambda y, x: torch.cos(torch.pi * x) + torch.cos(torch.pi * y), ALL),
    "the angle": (lambda y, x: torch.atan2(y, x), NONE),
    "cos 4·angle": (lambda y, x: torch.cos(4 * torch.atan2(y, x)), ALL),
    "sin 4·angle": (lambda y, x: torch.sin(4 * torch.atan2(y, x)), TURNS),
}


class Code(nn.Module):
    """A number for each pixel, added: learnt, frozen or a buffer, as given or averaged over moves."""

    def __init__(self, size: int, how: str, *, start: str = "random", mean: str = "") -> None:
        super().__init__()
        random = torch.randn(size, size, dtype=torch.float64)
        code = {"random": random, "zero": 0 * random, "symmetric": averaged(random, "all")}[start]
        self.mean = mean
        if how == "buffer":
            self.register_buffer("code", code)
        else:
            self.code = nn.Parameter(code, requires_grad=how == "learnt")

    def forward(self, features: Tensor) -> Tensor:
        return features + (averaged(self.code, self.mean) if self.mean else self.code).to(features.dtype)


def averaged(code: Tensor, moves: str) -> Tensor:
    """The mean over the turns, or over all moves."""
    turned = torch.stack([code.rot90(k, (-2, -1)) for k in range(4)]).mean(0)
    return (turned + turned.flip(-1)) / 2 if moves == "all" else turned


def positions() -> Iterator[Change]:
    for name, (mark, moves) in MARKS.items():
        yield of(f"{name} added", partial(marked, mark), moves)
    for how, start, mean, made in (
        ("learnt", "random", "", NONE),
        ("learnt", "zero", "", NONE),
        ("learnt", "symmetric", "", NONE),
        ("learnt", "random", "all", ALL),
        ("learnt", "random", "turns", TURNS),
        ("frozen", "random", "", NONE),
        ("frozen", "zero", "", ALL),
        ("buffer", "random", "", NONE),
        ("buffer", "zero", "", ALL),
        ("frozen", "symmetric", "", ALL),
        ("buffer", "symmetric", "", ALL),
    ):
        text = f"a {how} code for each pixel, {start}{', averaged over moves: ' + mean if mean else ''}"
        yield Change(text, partial(coded, how, start, mean), made)
    yield of("a mask that forgets a corner", lambda x: masked(x, [(0, 0)]), NONE)
    yield of("a mask that forgets all corners", lambda x: masked(x, [(0, 0), (0, -1), (-1, 0), (-1, -1)]), ALL)
    yield of("a mask that forgets the middle pixel", lambda x: masked(x, [(4, 4)]), ALL, 9)
    yield of("a mask that forgets pixel n/2", lambda x: masked(x, [(5, 5)]), NONE, 10)
    yield of("a symmetric Hann window", lambda x: x * hann(x, False), ALL)
    yield of("a periodic Hann window", lambda x: x * hann(x, True), NONE)


def marked(mark: Callable[[Tensor, Tensor], Tensor], features: Tensor) -> Tensor:
    return features + mark(*coordinates(features))


def coded(how: str, start: str, mean: str, _: int, size: int) -> nn.Module:
    return Code(size, how, start=start, mean=mean)


def masked(features: Tensor, places: list[tuple[int, int]]) -> Tensor:
    mask = torch.ones_like(features)
    for row, column in places:
        mask[..., row, column] = 0
    return features * mask


def hann(features: Tensor, periodic: bool) -> Tensor:
    row = torch.hann_window(features.shape[-1], periodic=periodic, dtype=torch.float64)
    return row.outer(row).to(features.dtype)


# other sizes


def resized(size: int | None = None, **options: object) -> Features:
    return lambda x: F.interpolate(x, size, **options)  # type: ignore[arg-type]


def resampling() -> Iterator[Change]:
    for mode in ("nearest", "nearest-exact"):
        yield of(f"{mode} to twice the size", resized(20, mode=mode), ALL)
        yield of(f"{mode} to thirteen pixels", resized(13, mode=mode), None)
        yield of(f"{mode} to half the size", resized(5, mode=mode), NONE)
    yield of("nearest to a third", resized(4, mode="nearest"), NONE, 12)
    yield of("nearest-exact to a third", resized(4, mode="nearest-exact"), ALL, 12)
    for mode in ("bilinear", "bicubic"):
        for corners in (False, True):
            yield of(
                f"{mode} to thirteen pixels, corners aligned: {corners}",
                resized(13, mode=mode, align_corners=corners),
                ALL,
            )
    yield of("bilinear to seven pixels, anti-aliased", resized(7, mode="bilinear", antialias=True), ALL)
    yield of("area to seven pixels", resized(7, mode="area"), ALL)
    for size, moves in ((9, NONE), (10, ALL)):
        yield of("bilinear by the factor 1.7", resized(scale_factor=1.7, mode="bilinear"), moves, size)
    yield of("resampled, turned by 0°", partial(turned_by, angle=0), ALL)
    yield of("resampled, turned by 30°", partial(turned_by, angle=30), TURNS)
    yield of("resampled, turned by 90°", partial(turned_by, angle=90), None)
    yield of("resampled, moved by half a pixel", lambda x: turned_by(x, 0, 0.1), NONE)


def turned_by(features: Tensor, angle: float, shift: float = 0.0) -> Tensor:
    """Turned about the middle with bilinear interpolation, then moved to the left."""
    radians = torch.tensor(angle * torch.pi / 180, dtype=torch.float64)
    cos, sin = float(radians.cos()), float(radians.sin())
    matrix = torch.tensor([[cos, -sin, shift], [sin, cos, 0]], dtype=features.dtype).expand(len(features), 2, 3)
    return F.grid_sample(features, F.affine_grid(matrix, list(features.shape), False), align_corners=False)


SPATIAL: dict[str, Callable[[], Iterator[Change]]] = {
    "strides and pools": sampling,
    "padding, cropping, rolling": padding,
    "pairs of breaks": pairs,
    "marks of positions": positions,
    "up- and down-sampling": resampling,
}
