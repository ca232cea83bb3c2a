"""What is written in place into a part of the features, or through another view of them, is no longer followed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gcnnbench.equivariance.exactness import watch
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.nn.groups import P4
from tests.equivariance.certificate.pointwise import Something, audited, verdicts
from tests.equivariance.mutants.networks import REGULAR, Function


def ramp(features: Tensor) -> Tensor:
    return torch.linspace(-1, 1, features.shape[-1])


def written(write: Callable[[Tensor], object]) -> Callable[[Tensor], Tensor]:
    """A copy of the features into which something was written."""

    def function(features: Tensor) -> Tensor:
        made = features.clone()
        write(made)
        return made

    return function


def masked(features: Tensor) -> Tensor:
    mask = torch.ones_like(features)
    mask[..., 0, 0] = 0
    return features * mask


def gated(features: Tensor) -> Tensor:
    """Gates from every second pixel, gathered in a tensor that does not come from the image."""
    gates = torch.zeros(len(features), features.shape[1], 1, 1)
    gates[:, :4].add_(features[..., ::2, ::2].mean((-2, -1), keepdim=True)[:, :4])
    return features * gates


def with_part_alive(features: Tensor) -> Tensor:
    """A view taken before the features are written into, and used behind it."""
    made = features.clone()
    view = made.flatten(2)
    made.mul_(ramp(made))
    return view.view_as(features)


BROKEN: dict[str, Callable[[Tensor], Tensor]] = {
    "a pixel of a mask": masked,
    "half of the pixels": written(lambda x: x[..., :5].mul_(0.5)),
    "half of the pixels, by a function of each": written(lambda x: x[..., :5].sub_(0.3).relu_()),
    "a flat view": written(lambda x: x.flatten(2).mul_(torch.linspace(-1, 1, 100))),
    "the data": written(lambda x: x.data.mul_(ramp(x))),
    "a detached view": written(lambda x: x.detach().mul_(ramp(x))),
    "a flat view of the data": written(lambda x: x.data.flatten(2).mul_(torch.linspace(-1, 1, 100))),
    "some of the orientations": written(lambda x: x[:, :1].mul_(0.5)),
    "gates from somewhere else": gated,
    "a view from before": with_part_alive,
}
SOUND: dict[str, Callable[[Tensor], Tensor]] = {
    "the whole": written(lambda x: x.sub_(0.3).relu_()),
    "all pixels through a view": written(lambda x: x.sub_(0.3).flatten(2).relu_()),
    "constants": lambda x: x + torch.zeros_like(x).add_(1),
    "a copy": written(lambda x: x.clone()[..., :5].mul_(0.5)),
}


def certificate(function: Callable[[Tensor], Tensor]) -> str:
    (base,) = (one for one in REGULAR if one.group == P4)
    network = base.changed(lambda: {"middle": Function(function)})
    return watch(network, sample_images(2, 3, 10), P4.elements).verdict


@pytest.mark.parametrize("name", BROKEN)
def test_a_write_that_breaks_the_symmetry_is_never_certified(name: str) -> None:
    assert certificate(BROKEN[name]) != "exact"


@pytest.mark.parametrize("name", SOUND)
def test_a_write_to_all_pixels_alike_is_certified(name: str) -> None:
    assert certificate(SOUND[name]) == "exact"


def ramps(x: Tensor) -> Tensor:
    return torch.arange(1.0, 9.0).to(x).expand(len(x), 1, 8, 8)


def beside_ramps(x: Tensor) -> Tensor:
    """One channel of the features in memory that held positions before."""
    made = x.new_empty(len(x), 2, 8, 8)
    made[:, 1:] = ramps(x)
    made[:, :1] = x[:, :1]
    return made.prod(1)


def beside_numbers_of_numpy(x: Tensor) -> Tensor:
    made = torch.zeros(len(x), 2, 8, 8).to(x)
    made.numpy()[:, 1:] = ramps(x).numpy()
    made[:, :1] = x[:, :1]
    return made.prod(1)


def over_positions(x: Tensor) -> Tensor:
    """One channel of the features in memory that held one number for each image and row."""
    made = (x.mean((1, 2, 3))[:, None, None, None] * ramps(x)).expand(-1, 2, -1, -1).clone()
    made[:, :1] = x[:, :1]
    return made.prod(1)


def vectors_over_features(x: Tensor) -> Tensor:
    made = x.clone()
    made[:, :1] = x[:, :1].mean((-2, -1), keepdim=True)
    return made * ramps(x)


def seen_from_before(x: Tensor) -> Tensor:
    """Gates by positions, through a view that is older than what was written."""
    made = x.new_zeros(x.shape)
    view = made.flatten(2)
    made.copy_(x)
    return x * (view * ramps(x)[:, 0].flatten(1)[:, None]).mean(-1)[:, :, None, None]


def seen_transposed(x: Tensor) -> Tensor:
    made = x.new_zeros(len(x), 4, 8, 8)
    view = made.mT
    made[:, :3] = x[:, :3]
    return x.square() * view


MEMORY: dict[str, Something] = {
    "beside positions": beside_ramps,
    "beside numbers of numpy": beside_numbers_of_numpy,
    "over positions": over_positions,
    "vectors over features": vectors_over_features,
    "seen from before": seen_from_before,
    "seen transposed": seen_transposed,
}


@pytest.mark.parametrize("name", MEMORY)
def test_features_in_memory_of_something_else_are_never_certified(name: str) -> None:
    def something(x: Tensor) -> Tensor:
        return MEMORY[name](x).relu().reshape(len(x), -1, 64).mean(-1).mean(1, keepdim=True).expand(-1, 4)

    assert verdicts(something) == ("unknown", "approximate")


def into_zeros(x: Tensor) -> Tensor:
    made = x.new_zeros(len(x), 6, 8, 8)
    made[:, 1:5] = x
    return made[:, 1:5]


def into_empty(x: Tensor) -> Tensor:
    return torch.empty_like(x).fill_(1).copy_(x)


@pytest.mark.parametrize("something", [into_zeros, into_empty])
def test_features_in_memory_of_one_number_are_certified(something: Something) -> None:
    assert verdicts(something) == ("exact", "exact")


def buffered(x: Tensor) -> Tensor:
    """A broken grid made good: the mean over turned copies, written one by one into a buffer."""
    made = x.new_zeros(4, len(x), 4, 4, 4)
    for turns in range(4):
        made[turns] = F.max_pool2d(torch.rot90(x, turns, (-2, -1)), 2, 2).sigmoid()
    return made.mean(0).mean((-2, -1))


def test_a_broken_grid_made_good_in_a_buffer_is_left_open() -> None:
    row = audited(buffered, 9)
    assert (row.grid, row.certificate, row.decision) == ("broken", "unknown", "exact")
