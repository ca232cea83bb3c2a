"""Further inputs on which a network that is exact on the images must not break: noise, other ranges, other batches.

Real images are alike in much: their corners are dark, what they show is in the middle, their values lie in one range,
and they come a few at a time. A network that goes different ways for different images, for large, small or negative
values, or for one image and for many, may take the same way for all of them.

What is drawn anew hides least (a branch whose weights start at zero), so ranges and batches are tried with these
weights. What cannot be judged there (an output that saturates, a network that takes no single image) is not among the
inputs that the verdict is said to hold for; the judgement says why.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from gcnnbench.device import WIDE_SCORING_BATCH
from gcnnbench.equivariance.depths import output_tensor
from gcnnbench.equivariance.deviations import OUTPUT, UnjudgedError, judgeable, rms, spread_of
from gcnnbench.equivariance.judgement import Judged, Judgement, judge, verdict_of
from gcnnbench.equivariance.macs import macs
from gcnnbench.equivariance.precision import State, evaluating, float64_device, forward, stated, tensors
from gcnnbench.foreign_code import REFUSALS, said
from gcnnbench.formatting import how_many
from gcnnbench.nn.fields import Field, known_action
from gcnnbench.nn.groups import ActingGroup, Element

MINUS = "−"
ON_NOISE = "given, on noise"
FEW_AT_ONCE = (1, 3)
RANGES = ((0.0, 255.0), (-16.0, 0.0), (-0.01, 0.01))
"""Raw pixels, negative values only, and small ones of both signs."""
IN_A_RANGE = 2
"""Images of each of these ranges."""
MOST_MACS = 1_000_000_000
"""A batch of scoring is tried where it takes no more multiply-accumulates than these."""


@dataclass(frozen=True)
class Inputs:
    """Values from `low` to `high`, shown in batches of these sizes."""

    low: float
    high: float
    batches: tuple[int, ...]

    def __str__(self) -> str:
        return in_words([self])


def in_words(inputs: Sequence[Inputs]) -> str:
    """All of them, each range and each set of batch sizes once: `0 to 1 in batches of 4 and 1`."""
    batches: dict[str, list[int]] = defaultdict(list)
    for one in inputs:
        batches[f"{one.low:.3g} to {one.high:.3g}".replace("-", MINUS)] += one.batches
    ranges: dict[str, list[str]] = defaultdict(list)
    for name, sizes in batches.items():
        ranges[_listed(dict.fromkeys(map(str, sizes)))].append(name)
    return "; ".join(f"{_listed(names)} in batches of {sizes}" for sizes, names in ranges.items())


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


@dataclass(frozen=True)
class FurtherInputs:
    """Inputs, what was found on them, and what a network that breaks there alone depends on.

    `other_batches` says that only the number of images is another one.
    """

    inputs: Inputs
    judgement: Judgement
    depends_on: str
    other_batches: bool = False


def inputs_of(images: Tensor, batches: tuple[int, ...] | None = None) -> Inputs:
    """The range of these images, and that they are shown at once where no batches are named."""
    return Inputs(float(images.min()), float(images.max()), batches or (len(images),))


def further_inputs(
    network: nn.Module, images: Tensor, group: ActingGroup, *, drawn: State, bound: float, fan_in: int, output: Field
) -> Iterator[FurtherInputs]:
    """Judge a network on further inputs.

    Args:
        network: exact on the images, as given and drawn anew.
        images: (images, channels, size, size).
        group: whose elements move the images.
        drawn: the state drawn anew in which it is exact.
        bound: what rounding stays below at the output of that state.
        fan_in: as in `judge`.
        output: how the output should transform.
    """

    def judged(name: str, state: State, shown: Tensor, batches: tuple[int, ...] | None = None) -> Judgement:
        return judge(network, name, state, shown, group, fan_in=fan_in, output=output, batches=batches)

    def tried(name: str, measure: Callable[[str], Judgement]) -> Judgement:
        try:
            return measure(name)
        except UnjudgedError as error:
            return Judgement(name, (), str(error))
        except REFUSALS as error:
            return Judgement(name, (), said(error))

    def drawn_on(inputs: Inputs) -> str:
        return f"drawn, on {inputs}"

    at_once = "how many images it is shown at once"
    found = tried(ON_NOISE, partial(judged, state=tensors, shown=noise_like(images)))
    yield FurtherInputs(inputs_of(images), found, "them")
    few, noise = inputs_of(images, FEW_AT_ONCE), noise_like(images, sum(FEW_AT_ONCE))
    found = tried(drawn_on(few), partial(judged, state=drawn, shown=noise, batches=FEW_AT_ONCE))
    yield FurtherInputs(few, found, at_once, other_batches=True)
    for low, high in RANGES:
        inputs = Inputs(low, high, (IN_A_RANGE,))
        noise = low + (high - low) * _uniform(images, IN_A_RANGE)
        found = tried(drawn_on(inputs), partial(judged, state=drawn, shown=noise, batches=inputs.batches))
        yield FurtherInputs(inputs, found, "the range of its inputs")
    many = inputs_of(images, (WIDE_SCORING_BATCH,))
    in_one_batch = partial(
        _in_one_batch, network=network, state=drawn, images=images, group=group, output=output, bound=bound
    )
    yield FurtherInputs(many, tried(drawn_on(many), in_one_batch), at_once, other_batches=True)


def noise_like(images: Tensor, count: int | None = None) -> Tensor:
    """Uniform noise in the range of each channel, as many images of the same size unless `count` says how many."""
    least, most = images.amin((0, 2, 3), keepdim=True), images.amax((0, 2, 3), keepdim=True)
    return least + (most - least) * _uniform(images, count or len(images))


def _uniform(images: Tensor, count: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand((count, *images.shape[1:]), generator=generator, dtype=torch.float64).to(images)


def _in_one_batch(
    name: str,
    network: nn.Module,
    state: State,
    images: Tensor,
    group: ActingGroup,
    output: Field,
    bound: float,
) -> Judgement:
    """The images and their moved copies in one wide batch, over and over: one forward pass, if it is cheap.

    Raises:
        UnjudgedError: it is not, or nothing can be told from the output.
    """
    size = WIDE_SCORING_BATCH
    if macs(network, images[:2]) * size > MOST_MACS:
        raise UnjudgedError(f"it takes more than {MOST_MACS:.0e} multiply-accumulates")
    device = float64_device(network, images)
    few = images[: max(1, size // len(group))].to(device, torch.float64)
    every = torch.cat([g.act(few) for g in group.elements])
    shown = every[torch.arange(max(size, len(every))) % len(every)]
    with evaluating(network):
        swapped = stated(network, state, shown)
        result = judgeable(output_tensor(forward(network, swapped, shown)))
    if result.shape[:1] != shown.shape[:1]:
        raise UnjudgedError(f"the output for {how_many(len(shown), 'image')} has the shape {tuple(result.shape)}")
    upright, *moved = result[: len(every)].split(len(few))
    spread = spread_of(upright)
    judged = []
    for g, features in zip(group.elements[1:], moved, strict=True):
        if g != Element() and known_action(output, g, features, images.shape[-2:]):
            error = rms(output.act(upright, g) - features) / spread
            judged.append(Judged(name, OUTPUT, g.name, error, bound, verdict_of(error, None, bound)))
    return Judgement(name, tuple(judged))
