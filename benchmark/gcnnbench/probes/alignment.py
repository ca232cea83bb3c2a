"""Whether a network's layers are equivariant up to a permutation of their channels, as the data sees them.

With a_l the features of x behind each ReLU and b_l = g⁻¹ · (those of g x), the channels of a_l and b_l are matched one
to one by the largest summed correlation over pixels and images (the assignment problem), on one half of the images; on
the other half the mean correlation of matched channels is read. For an exactly equivariant network it is one, the
matching is the permutation by which the group acts, and `law`, the share of channels with P^order(g) = 1, is one.
Correlations of an *untrained* network are not zero, for blobs stay blobs; what counts is the difference to it.
The element is one that is not its own inverse where the group has one: a flip cannot tell g from g⁻¹.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from gcnnbench.nn.groups import Element, Group
from gcnnbench.probes.chains import Chain, chain

BATCH = 250
DEAD = 1e-12
"""A channel whose variance is below this is constant, and correlates with nothing."""


def probed_element(group: Group) -> Element:
    """The first element that is not its own inverse; else the first that is not the identity.

    Args:
        group: of at least two elements.
    """
    others = group.elements[1:]
    return next((element for element in others if element.inverse != element), others[0])


def correlations(one: Chain, other: Chain, images: Tensor, element: Element) -> list[Tensor]:
    """Of each stage, how the channels of f and of `g⁻¹ f′(g x)` correlate over images and pixels.

    Args:
        one: f.
        other: f′, f itself for the equivariance of f.
        images: (images, channels, height, width), float64.
        element: g.

    Returns:
        (channels of f, channels of f′) each, in [−1, 1]; 0 for constant channels.
    """
    sums: list[list[Tensor]] = []
    for batch in images.split(BATCH):
        pairs = zip(one.features(batch), other.features(element.act(batch)), strict=True)
        for stage, (mine, theirs) in enumerate(pairs):
            a = mine.movedim(1, 0).flatten(1)
            b = element.inverse.act(theirs).movedim(1, 0).flatten(1)
            new = [torch.tensor(float(a.shape[1])), a.sum(1), b.sum(1), (a * a).sum(1), (b * b).sum(1), a @ b.T]
            if stage == len(sums):
                sums.append(new)
            else:
                sums[stage] = [old + more for old, more in zip(sums[stage], new, strict=True)]
    found = []
    for n, a_sum, b_sum, a_square, b_square, product in sums:
        a_mean, b_mean = a_sum / n, b_sum / n
        spread = (a_square / n - a_mean**2).clamp_min(0)[:, None] * (b_square / n - b_mean**2).clamp_min(0)
        value = (product / n - a_mean[:, None] * b_mean) / spread.clamp_min(DEAD**2).sqrt()
        found.append(torch.where(spread > DEAD**2, value, torch.zeros_like(value)).clamp(-1, 1))
    return found


def matched(correlation: Tensor, fibre: int = 1) -> Tensor:
    """The channel of f′ that is matched to each channel of f, (channels,).

    Args:
        correlation: (channels of f, channels of f′).
        fibre: so many neighbouring channels stay together: blocks are matched by what their channels are worth, and
            channels within them.
    """
    if fibre == 1:
        return torch.from_numpy(linear_sum_assignment(correlation.numpy(), maximize=True)[1])
    blocks = correlation.unflatten(0, (-1, fibre)).unflatten(2, (-1, fibre)).movedim(1, 2)
    inner = [[matched(block) for block in row] for row in blocks]
    rows = torch.arange(fibre)
    worth = torch.stack(
        [
            torch.stack([block[rows, places].sum() for block, places in zip(row, chosen, strict=True)])
            for row, chosen in zip(blocks, inner, strict=True)
        ]
    )
    outer = matched(worth)
    return torch.cat([inner[place][int(to)] + int(to) * fibre for place, to in enumerate(outer)])


@dataclass(frozen=True)
class Matching:
    """How the channels of one stage are matched.

    Args:
        places: the channel of f′ that is matched to each channel of f, (channels,).
        live: which channels of f vary on the images, (channels,); for the others nothing speaks for any match.
    """

    places: Tensor
    live: Tensor


def matchings(one: Chain, other: Chain, images: Tensor, element: Element) -> list[Matching]:
    """Of each stage, the matching of its channels; see `correlations` for the arguments."""
    found = correlations(one, other, images, element)
    fibres = [1] * (len(found) - 1) + [one.fibre]
    return [Matching(matched(value, fibre), live(value)) for value, fibre in zip(found, fibres, strict=True)]


def live(correlation: Tensor) -> Tensor:
    """Which channels of f vary, (channels,): constant ones correlate with nothing."""
    return (correlation != 0).any(1)


def held_out(one: Chain, other: Chain, images: Tensor, element: Element) -> tuple[list[float], list[Matching]]:
    """The mean correlation on the second half of the images of channels matched on the first, and the matchings.

    Channels that are constant on either half are left out; the correlation of a stage without any other is zero.
    """
    half = len(images) // 2
    found = matchings(one, other, images[:half], element)
    means = []
    for value, matching in zip(correlations(one, other, images[half:], element), found, strict=True):
        taken = (matching.live & live(value)).nonzero()[:, 0]
        means.append(float(value[taken, matching.places[taken]].mean()) if len(taken) else 0.0)
    return means, found


def law(matching: Matching, element: Element) -> float:
    """The share of varying channels that P^order(g) leaves where they are."""
    order, power = 1, element
    while power != Element():
        order, power = order + 1, power * element
    start = torch.arange(len(matching.places))
    places = start
    for _ in range(order):
        places = matching.places[places]
    back = (places == start)[matching.live]
    return float(back.double().mean()) if len(back) else 0.0


@torch.no_grad()
def measure(network: nn.Module, images: Tensor, group: Group) -> dict[str, dict[str, Any]]:
    """The held-out correlation and the law of each stage, in float64 on a copy; nothing where the group is trivial.

    Args:
        network: a chain, see `chains.py`.
        images: (images, channels, size, size), at least two.
        group: an element of it is taken, see `probed_element`.

    Raises:
        UserError: the network is no chain.
    """
    if len(group) == 1:
        return {}
    found, element = chain(network), probed_element(group)
    means, each = held_out(found, found, images.cpu().double(), element)
    return {
        name: {"correlation": mean, "law": law(matching, element)}
        for name, mean, matching in zip(found.ends, means, each, strict=True)
    }


def distance(one: Chain, other: Chain, found: Sequence[Matching]) -> list[float]:
    """`‖W − W′‖ / √(‖W‖² + ‖W′‖²)` of each convolution: 0 where they are equal, 1 where they have nothing in common.

    Args:
        one: a chain.
        other: of the same form, its channels in the same order.
        found: which channels vary; the others are left out, as rows and as columns.
    """
    result = []
    columns: Tensor | None = None
    for stage, matching in enumerate(found):
        a, b = (each.conv(stage).weight.detach()[matching.live] for each in (one, other))
        a, b = (a, b) if columns is None else (a[:, columns], b[:, columns])
        size = float((a.square().sum() + b.square().sum()).sqrt())
        result.append(float((a - b).norm()) / size if size else 0.0)
        columns = matching.live
    return result
