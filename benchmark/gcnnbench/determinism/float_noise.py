"""Float noise: how far logits move with the way they are computed, and which differences of a record that excuses.

Two ways to compute one float32 network differ in their last digits: batches of another size, another machine, the norms
folded or not. `tolerance = 10 · max |Δlogit|`, over batch sizes and against float64, on this machine and this network,
is what two such computations may differ by; ten, because a handful of images stands for all, and this machine for all.
Logits are compared minus their mean over the classes of each image, which neither loss nor prediction sees.
A prediction may differ only where it is a tie: where the other class's logit lies within `2 · tolerance` of the largest
one, as each of the two may move. Counts agree if such images alone can account for every difference. The weights
themselves make the noise, so the share of ties is bounded: beyond `MOST_TIED` agreement shows nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from torch import Tensor, nn

from gcnnbench.data.images import Images
from gcnnbench.device import CPU_SCORING_BATCH, arithmetic, scoring_batch
from gcnnbench.equivariance.precision import best_dtype, evaluating, forward, tensors
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.scoring.metrics import Confusion, Ordered

FACTOR = 10
NOISE_IMAGES = 256
OTHER_BATCHES = (1, 7, 64)
"""A pass over a few images one by one, in uneven batches, and in smaller ones than those that score."""
SINGLE_IMAGES = 32
MOST_TIED = 0.01
"""Of the images of a condition this share may be ties. In the records of quickstart, of 400 images, none is."""

Shown = Callable[[slice], Tensor]
"""From a slice of the images to the network's input, as it is shown under some condition."""


@torch.inference_mode()
def logits(scoring: nn.Module, shown: Shown, images: int, threads: int, batch: int | None = None) -> Tensor:
    """Logits (images, classes) in float32 on the CPU, computed as a run computes them.

    Args:
        scoring: what `for_scoring` gives.
        shown: the images under some condition.
        images: how many there are.
        threads: CPU threads.
        batch: images in a pass, those of a run where None.
    """
    first = shown(slice(1))
    device = first.device
    batch = batch or scoring_batch(device, first.shape[-1])
    with arithmetic(device, "fp32", threads):
        slices = (slice(start, min(start + batch, images)) for start in range(0, images, batch))
        return torch.cat([scoring(shown(chosen)).float().cpu() for chosen in slices])


def centred(found: Tensor) -> Tensor:
    """Logits (images, classes) in float64, minus their mean over the classes of each image."""
    wide = found.double()
    return wide - wide.mean(1, keepdim=True)


def root_mean_square(found: Tensor) -> float:
    """That of logits (images, classes), once they are centred."""
    return float(centred(found).square().mean().sqrt())


def tolerance(network: nn.Module, images: Images, threads: int, known: float = 0.0) -> float:
    """What two float32 computations of this network's logits may differ by, once they are centred.

    Args:
        network: holds its trained weights.
        images: the first of them are computed in several ways.
        threads: CPU threads.
        known: the largest noise that `doctor` found on this machine, as a share of `root_mean_square`.
    """
    few = min(NOISE_IMAGES, len(images))
    exact = centred(double_logits(network, images.batch(slice(few))))
    scoring = for_scoring(network)
    noise = 0.0
    for batch in (None, *OTHER_BATCHES):
        shown = min(few, SINGLE_IMAGES) if batch == 1 else few
        found = logits(scoring, images.batch, shown, threads, batch)
        noise = max(noise, float((centred(found) - exact[:shown]).abs().max()))
    return FACTOR * max(noise, known * root_mean_square(exact))


def double_logits(network: nn.Module, batch: Tensor) -> Tensor:
    """Logits (images, classes) of the network as it is in float64, where the device has it; on the CPU."""
    dtype = best_dtype(batch.device)
    with evaluating(network):
        swapped = tensors(network, dtype)
        found: Tensor = torch.cat(
            [forward(network, swapped, part.to(dtype)) for part in batch.split(CPU_SCORING_BATCH)]
        )
    return found.cpu()


def choices(found: Tensor, allowed: float) -> Tensor:
    """Which classes each image may be put into: bool (images, classes), true where a logit ties with the largest."""
    return found >= found.amax(1, keepdim=True) - 2 * allowed


def unexplained(recorded: Confusion, rows: Tensor, columns: Tensor) -> int:
    """How many of the recorded counts no choice among ties accounts for; 0 where one accounts for all.

    Each image falls into one cell (row, column) of those that its choices allow. Images without a choice are counted;
    what is left of the record must be an assignment of the others, which is a matching between images and counts.

    Args:
        recorded: the record's counts (rows, columns).
        rows: bool (images, classes), the rows that an image may fall into; its true class, or its upright choices.
        columns: bool (images, classes), the columns that it may fall into.
    """
    cells = (rows[:, :, None] & columns[:, None, :]).flatten(1)
    tied = cells.sum(1) > 1
    left = torch.tensor(recorded, dtype=torch.int64).flatten() - cells[~tied].sum(0)
    over, places = int(-left.clamp(max=0).sum()), left.clamp(min=0)
    if not tied.any():
        return max(over, int(places.sum()))
    allowed = cells[tied][:, torch.repeat_interleave(torch.arange(len(places)), places)].numpy()
    matched = int((maximum_bipartite_matching(csr_array(allowed.astype(np.int8)), perm_type="column") >= 0).sum())
    images, places_left = allowed.shape
    return max(over, int(images) - matched, int(places_left) - matched)


@dataclass(frozen=True)
class Orders:
    """How the scores of pairs (image of class 1, image of class 0) lie, `pairs` in all.

    In `above` the former is higher by more than float noise. In `equal` both are the same to the bit, as for images to
    which a network gives its last bias alone: a tie, which the AUC counts one half. `free` are others noise may order.
    """

    above: int
    equal: int
    free: int
    pairs: int

    def __str__(self) -> str:
        return f"{self.above:,} concordant, {self.equal:,} tied, and {self.free:,} that float noise may order"

    def explain(self, stated: Ordered) -> bool:
        """Whether noise accounts for a stated order.

        Up to `MOST_TIED` of the pairs may be open in all, equal ones among them, as those of one image twice: computed
        in another batch they may be apart. No more of them are anybody's to order.
        """
        open_too = min(self.equal, max(0, _bound(self.pairs) - self.free))
        level = 2 * self.above + self.free + self.equal
        return (
            self.above <= stated.concordant
            and stated.concordant + stated.tied <= self.above + self.free + self.equal
            and abs(2 * stated.concordant + stated.tied - level) <= self.free + open_too
        )


def orders(found: Tensor, labels: Tensor, allowed: float) -> Orders:
    """How the scores of the pairs lie: logit 1 − logit 0, so a difference of two may move by four times `allowed`.

    Args:
        found: logits (images, 2).
        labels: true classes (images,).
        allowed: what each logit may move by, once they are centred.
    """
    scores, labels = found[:, 1].double() - found[:, 0].double(), labels.cpu()
    lower, upper = scores[labels == 0].sort().values, scores[labels == 1]

    def below(shift: float, *, alike: bool) -> int:
        return int(torch.searchsorted(lower, upper + shift, right=alike).sum())

    above, equal = below(-4 * allowed, alike=False), below(0.0, alike=True) - below(0.0, alike=False)
    return Orders(above, equal, below(4 * allowed, alike=True) - above - equal, len(lower) * len(upper))


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """The true class as the only choice: bool (images, classes)."""
    return torch.arange(classes) == labels.cpu()[:, None]


def ties(found: Sequence[Tensor]) -> int:
    """How many images have more than one choice under some condition."""
    return int(torch.stack([choice.sum(1) > 1 for choice in found]).any(0).sum())


def too_many(tied: int, counted: int) -> bool:
    """Whether so many of the counted images, or pairs of images, are ties that their counts show nothing.

    One may always be: among few images it is a large share.
    """
    return tied > _bound(counted)


def _bound(counted: int) -> int:
    return max(1, int(MOST_TIED * counted))
