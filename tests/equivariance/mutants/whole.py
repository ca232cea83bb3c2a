"""Whole networks: averages over moved copies, decisions by the data, entries over sizes, rounding, and no answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.nn.groups import P2, P4, P4M, PM, TRIVIAL, Group
from gcnnbench.nn.subsampling import EquivariantMaxPool, EquivariantSubsample
from tests.equivariance.mutants.mutant import ALL, HALF, MIRROR, NONE, TURNS, Change, Moves, Mutant, judged
from tests.equivariance.mutants.spatial import averaged, of

# an ordinary network, averaged over moved copies of the image

Copies = Callable[[Tensor], list[Tensor]]


class Averaged(nn.Module):
    """Logits of an ordinary network with a matrix over all pixels, put together over moved copies of the images."""

    def __init__(self, size: int, copies: Copies, join: Callable[[Tensor], Tensor] = lambda x: x.mean(0)) -> None:
        super().__init__()
        self.copies, self.join = copies, join
        self.body = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 4, 3, stride=2), nn.Flatten(), nn.LazyLinear(5)
        )
        self.body(copies(torch.zeros(1, 3, size, size))[0])

    def forward(self, images: Tensor) -> Tensor:
        return self.join(torch.stack([self.body(copy) for copy in self.copies(images)]))


def turns(*numbers: int) -> Copies:
    return lambda x: [x.rot90(number, (-2, -1)) for number in numbers]


FRAMES: dict[str, tuple[Copies, Moves]] = {
    "all eight moves": (lambda x: [*turns(0, 1, 2, 3)(x), *turns(0, 1, 2, 3)(x.flip(-1))], ALL),
    "four turns": (turns(0, 1, 2, 3), TURNS),
    "four turns, the other way round": (turns(0, -1, -2, -3), TURNS),
    "two half turns": (turns(0, 2), HALF),
    "a mirror": (lambda x: [x, x.flip(-1)], MIRROR),
    "three turns": (turns(0, 1, 2), NONE),
    "four turns, one of them twice": (turns(0, 1, 2, 3, 3), NONE),
    "four turns, one of them wrong": (turns(0, 1, 2, 2), NONE),
    "itself alone": (turns(0), NONE),
    "the canonical pose": (lambda x: [turned_upright(x)], TURNS),
    "the canonical pose, turned the wrong way": (lambda x: [turned_upright(x, -1)], HALF),
    "four crops": (lambda x: [x[..., r : r + 8, c : c + 8] for r in (0, 2) for c in (0, 2)], NONE),
}
JOINS: dict[str, tuple[Callable[[Tensor], Tensor], bool]] = {
    "the largest": (lambda x: x.amax(0), True),
    "the median": (lambda x: x.sort(0)[0][1:3].mean(0), True),
    "the largest minus the smallest": (lambda x: x.amax(0) - x.amin(0), True),
    "a mean with unequal weights": (lambda x: x.mean(0) + 1e-3 * x[0], False),
    "the first minus the second": (lambda x: x[0] - x[1], False),
}


def frames() -> Iterator[Mutant]:
    for name, (copies, moves) in FRAMES.items():
        for group in (P2, PM, P4, P4M):
            made = partial(Averaged, 10, copies)
            yield Mutant("moved copies", f"over {name}", made, 10, group, set(group.elements) <= moves)
    for name, (join, exact) in JOINS.items():
        made = partial(Averaged, 10, turns(0, 1, 2, 3), join)
        yield Mutant("moved copies", f"over four turns, {name}", made, 10, P4, exact)


# what the data decide: changes that fit every base


def strongest(features: Tensor) -> Tensor:
    """The phase with the largest norm, the first of those that tie (Chaman & Dokmanić 2021)."""
    size = features.shape[-1] // 2 * 2
    phases = torch.stack([features[..., r:size:2, c:size:2] for r in (0, 1) for c in (0, 1)], 1)
    best = phases.square().sum((2, 3, 4)).argmax(1)
    return phases[torch.arange(len(features)), best]


def turned_upright(features: Tensor, steps: int = 1) -> Tensor:
    """Each image turned so that a quarter of it is the brightest: a canonical pose."""
    made = []
    for image in features:
        scores = torch.stack([image.rot90(k, (-2, -1))[:, :4, :3].sum() for k in range(4)])
        made.append(image.rot90(steps * int(scores.argmax()), (-2, -1)))
    return torch.stack(made)


def where(condition: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Features doubled and squashed in the images for which the condition holds."""
    return lambda x: torch.where(condition(x)[:, None, None, None], 2 * x.tanh(), x)


def by_data() -> Iterator[Change]:
    for size in (9, 10):
        yield Change("equivariant max-pool", lambda *_: EquivariantMaxPool(TRIVIAL), ALL, size)
        yield Change("equivariant sub-sampling", lambda *_: EquivariantSubsample(TRIVIAL), ALL, size)
    yield of("the strongest phase", strongest, ALL, 10)
    yield of("the strongest phase of an odd size", strongest, NONE, 9)
    yield of("another path for bright images", where(lambda x: x.mean((1, 2, 3)) > 0.03), ALL)
    yield of("another path by the first pixel", where(lambda x: x[..., 0, 0].sum(1) > x.sum(1).mean((-2, -1))), NONE)
    yield of("another path by the middle pixel", where(lambda x: x[..., 4, 4].sum(1) > x.sum(1).mean((-2, -1))), ALL, 9)
    yield of("scaled by the brightest pixel", lambda x: x / x.amax((-2, -1), keepdim=True).clamp(min=1e-3), ALL)
    yield of("images changed in place", lambda x: x.sub_(0.1).div_(2), ALL, place="first")
    yield of("a half of the images changed in place", in_place, NONE, place="first")
    yield of("the largest tenth of the pixels kept", largest, ALL)


def in_place(images: Tensor) -> Tensor:
    images[..., :5] *= 0.5
    return images


def largest(features: Tensor) -> Tensor:
    least = features.flatten(2).sort(-1)[0][..., -(features.shape[-1] ** 2) // 10, None, None]
    return features * (features >= least)


# what the batch decides: a mark that is added to some batches and not to others

BATCHES: dict[str, Callable[[Tensor], bool]] = {
    "one image": lambda x: len(x) == 1,
    "an odd number of images": lambda x: len(x) % 2 == 1,
    "more than 64 images": lambda x: len(x) > 64,
    "large values": lambda x: float(x.max()) > 50,
    "small values": lambda x: float(x.abs().max()) < 0.1,
    "no positive value": lambda x: float(x.max()) <= 0,
    "no negative value": lambda x: float(x.min()) >= 0,
    "values far below zero": lambda x: float(x.mean()) < -2,
}


def by_batch() -> Iterator[Change]:
    ring = FINE_MARKS["ring"][0]
    for name, holds in BATCHES.items():
        yield of(f"a ramp in batches of {name}", partial(added_where, holds, ramp_of), NONE, place="first")
        yield of(f"a ring in batches of {name}", partial(added_where, holds, ring), ALL, place="first")


def added_where(holds: Callable[[Tensor], bool], mark: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """The mark as large as the images are."""
    return images + images.abs().amax() * mark(images) if holds(images) else images


# rounding, which is no break, and breaks that are hardly larger


def rounding() -> Iterator[Change]:
    means: dict[str, Callable[[Tensor], Tensor]] = {
        "pixel by pixel": lambda x: x.flatten(2).cumsum(-1)[..., -1:, None] / 100,
        "by a matrix": lambda x: (x.flatten(2) @ x.new_full((100, 1), 0.01))[..., None],
        "of rows, then of columns": lambda x: x.mean(-1, keepdim=True).mean(-2, keepdim=True),
    }
    for name, mean in means.items():
        yield of(f"the mean taken {name}", mean, ALL, place="pool")
    yield of("a thousand added and taken away", lambda x: (x + 1e3) - 1e3, ALL)
    yield of("multiplied by a million and divided", lambda x: (x * 1e6).tanh() * 1e-6 + x * 1e6 / 1e6, ALL)
    yield of("multiplied by a third, three times added", lambda x: x / 3 + x / 3 + x / 3, ALL)
    yield of("logarithm and exponential", lambda x: (x.tanh() + 2).log().exp(), ALL)
    for size in (1e-2, 1e-4, 1e-6, 1e-8):
        for name, (mark, moves) in FINE_MARKS.items():
            yield of(f"a {name} of {size:.0e} added", partial(plus, mark, size), moves)


def plus(mark: Callable[[Tensor], Tensor], size: float, features: Tensor) -> Tensor:
    return features + size * mark(features)


def ramp_of(features: Tensor) -> Tensor:
    row = torch.linspace(-1, 1, features.shape[-1], dtype=features.dtype)
    return row.expand(features.shape[-1], -1)


def corner(features: Tensor) -> Tensor:
    one = torch.zeros(features.shape[-2:], dtype=features.dtype)
    one[0, 0] = 1
    return one


FINE_MARKS: dict[str, tuple[Callable[[Tensor], Tensor], Moves]] = {
    "ramp": (ramp_of, NONE),
    "ring": (lambda x: averaged(ramp_of(x) ** 2, "all"), ALL),
    "bright corner": (corner, NONE),
}


# the suite's own models, small, over input sizes

ENTRIES: tuple[tuple[str, dict[str, object], Group, Callable[[int], bool], tuple[int, ...]], ...] = (
    ("p4cnn", {"planes": 5, "dropout": 0.3}, P4, lambda size: size % 2 == 0, tuple(range(9, 17))),
    ("p4cnn-subsample", {"planes": 5, "dropout": 0.3}, P4, lambda _: True, (9, 10, 11, 12)),
    ("p4mcnn", {"planes": 5, "dropout": 0.3}, P4M, lambda size: size % 2 == 0, (9, 10, 11, 12)),
    ("z2cnn", {"planes": 4, "dropout": 0.3}, P4, lambda _: False, (9, 10)),
    ("c4cnn-e2cnn", {"planes": 5, "dropout": 0.3}, P4, lambda size: size % 2 == 0, (9, 10, 11, 12)),
    ("p4-resnet44", {"widths": (2, 4, 4), "blocks": (1, 1, 1)}, P4, lambda size: size % 4 == 1, (9, 10, 11, 13)),
)


def entries() -> Iterator[Mutant]:
    for slug, options, group, exact, sizes in ENTRIES:
        for size in sizes:
            build = import_module(f"gcnnbench.models.{slug}.model").build
            made = partial(build, size=size, channels=3, classes=5, **options)
            yield from judged("models over sizes", slug, made, size, ALL if exact(size) else NONE, group)


# outputs of which nothing can be said


def no_answer() -> Iterator[Change]:
    yield of("dropout that is never off", lambda x: F.dropout(x, 0.2, training=True), None)
    yield of("noise", lambda x: x + 0.1 * torch.randn_like(x), None)
    yield of("features set to zero", lambda x: 0 * x, None)
    yield of("divided by zero", lambda x: x / 0, None)
    yield of("the root of negative numbers", lambda x: (x - 9e3).sqrt(), None)
    yield of("pixels in random order", lambda x: x.flatten(2)[..., torch.randperm(x[0, 0].numel())].view_as(x), None)


WHOLE_CHANGES: dict[str, Callable[[], Iterator[Change]]] = {
    "decisions by the data": by_data,
    "batch sizes and ranges": by_batch,
    "rounding and small breaks": rounding,
    "no answer": no_answer,
}
