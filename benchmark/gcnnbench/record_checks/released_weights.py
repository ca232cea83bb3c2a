"""Scores weights that a source released, and says whether they give their published number back.

The file is found by its sha256 below a folder, read as tensors alone, and its tensors become those of an entry by
the moves on the claim. It is scored on the data set that the source used or, where that is not at hand, on a
look-alike. The same images with rows and columns exchanged are the control: a network that scores alike on both tells
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.claims import ClaimsCard, NumberClaim
from gcnnbench.claims.released_weights import WeightsClaim
from gcnnbench.data.parts import Part
from gcnnbench.data.registered import load_dataset
from gcnnbench.equivariance.errors import measure
from gcnnbench.equivariance.targets import model_target
from gcnnbench.errors import UnavailableError, UserError
from gcnnbench.plain_files import read_plain
from gcnnbench.record_checks.torch_file import LIMIT, read_tensors
from gcnnbench.statistics import wilson

BATCH = 500
EQUIVARIANCE_IMAGES = 32
MOST_FILES = 10_000

Verdict = Literal[
    "reproduced", "refuted", "holds on the look-alike", "fails on the look-alike", "undecided", "not here"
]


@dataclass(frozen=True)
class Scored:
    """One released file.

    Args:
        source: of the claim.
        claim: it.
        published: the accuracy, a fraction.
        verdict: what the score says.
        data: the set that it was scored on.
        correct: images that are classified right.
        images: of the test part.
        control: those right with rows and columns exchanged.
        invariance_error: at the logits, under the entry's group, in float64.
        reason: why there is no score.
    """

    source: str
    claim: WeightsClaim
    published: float
    verdict: Verdict
    data: str | None = None
    correct: int = 0
    images: int = 0
    control: int = 0
    invariance_error: float | None = None
    reason: str | None = None

    @property
    def interval(self) -> tuple[float, float] | None:
        """Wilson's interval of the accuracy at 95 %."""
        return wilson(self.correct, self.images) if self.images else None

    @property
    def fails(self) -> bool:
        """Whether the published number does not come back, or the file is not what it must be."""
        return self.verdict in ("refuted", "fails on the look-alike")


def verify_weights(
    registry: Registry, cards: Sequence[ClaimsCard], weights: Path, data: Path, images: int | None = None
) -> list[Scored]:
    """Score every claim of kind *weights*.

    Args:
        registry: the entries and data sets.
        cards: with the claims.
        weights: the folder with the files, at any depth and under any name.
        data: the data directory.
        images: only so many of the test images; all where None.

    Raises:
        UserError: a file is damaged, or its tensors are not those that the claim moves.
    """
    files = _by_digest(weights)
    return [
        _score(registry, card.source, claim, _published(card, claim), files.get(claim.sha256), data, images)
        for card in cards
        for claim in card.weights
    ]


def _published(card: ClaimsCard, claim: WeightsClaim) -> float:
    number = next(one for one in card.claims if one.id == claim.claim)
    if not isinstance(number, NumberClaim):
        raise TypeError(f"{number.id} is no number, which its card should have said")
    return number.published.mean


def _by_digest(folder: Path) -> dict[str, bytes]:
    """The files below a folder that may be weights, by their sha256."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; put the released files there and give it as --weights")
    found: dict[str, bytes] = {}
    for count, path in enumerate(sorted(one for one in folder.rglob("*") if one.is_file() and not one.is_symlink())):
        if count >= MOST_FILES:
            raise UserError(f"{folder} holds more than {MOST_FILES:,} files: give a folder with the weights alone")
        if path.stat().st_size <= LIMIT:
            content = read_plain(path, LIMIT)
            found[hashlib.sha256(content).hexdigest()] = content
    return found


def _score(
    registry: Registry,
    source: str,
    claim: WeightsClaim,
    published: float,
    content: bytes | None,
    data: Path,
    images: int | None,
) -> Scored:
    if content is None:
        reason = f"fetch {claim.link} (sha256 {claim.sha256[:12]}…) into the folder"
        return Scored(source, claim, published, "not here", reason=reason)
    network = load_network(registry, claim, read_tensors(content))
    name, parts = _data(registry, claim, data)
    if parts is None:
        return Scored(source, claim, published, "not here", reason=name)
    test = parts["test"] if images is None else parts["test"].select(slice(images))
    mean, std = _moments(parts["train"].images)
    shown = (_as_float(test.images) - mean) / std
    if registry.dataset(name).orientation != claim.orientation:
        shown = shown.transpose(-2, -1).contiguous()
    correct = _correct(network, shown, test.labels)
    group = model_target(registry, registry.model(claim.entry)).group
    return Scored(
        source,
        claim,
        published,
        _verdict(claim, published, correct, len(test.labels), same=name == claim.data[0]),
        data=name,
        correct=correct,
        images=len(test.labels),
        control=_correct(network, shown.transpose(-2, -1).contiguous(), test.labels),
        invariance_error=measure(network, shown[:EQUIVARIANCE_IMAGES], group.elements).invariance_error,
    )


def load_network(registry: Registry, claim: WeightsClaim, tensors: Mapping[str, Tensor]) -> nn.Module:
    """The claim's entry with the source's tensors.

    Raises:
        UserError: a tensor is missing, has another size or is not finite, or one is left over on either side.
    """
    slug, size = split_entry(claim.entry)
    network = model_target(registry, registry.model(slug)).make(size)
    state = dict(network.state_dict())
    given = dict.fromkeys(claim.zero)
    used = set(claim.unused)
    for theirs, ours, scale, add in _moves(claim):
        if theirs not in tensors or ours not in state:
            where = "the file" if theirs not in tensors else claim.entry
            raise UserError(f"{claim.id}: {theirs} -> {ours}: {where} has no such tensor")
        tensor = tensors[theirs]
        if tensor.numel() != state[ours].numel() or not tensor.isfinite().all():
            shapes = f"{tuple(tensor.shape)} and {tuple(state[ours].shape)}"
            raise UserError(f"{claim.id}: {theirs} -> {ours}: {shapes} do not fit, or a number is not finite")
        state[ours] = (tensor.double() * scale + add).view(state[ours].shape).to(state[ours].dtype)
        given[ours] = None
        used.add(theirs)
    for name in claim.zero:
        state[name] = torch.zeros_like(state[name])
    left = [*(sorted(set(tensors) - used)), *(sorted(set(state) - set(given)))]
    if left:
        raise UserError(f"{claim.id}: nothing is said of {left[0]}; every tensor of both sides must be moved or named")
    network.load_state_dict(state)
    network.eval()
    return network


def _moves(claim: WeightsClaim) -> Iterator[tuple[str, str, float, float]]:
    for move in claim.moves:
        for theirs, ours in move.pairs:
            yield theirs, ours, move.scale, move.add


def _data(registry: Registry, claim: WeightsClaim, folder: Path) -> tuple[str, dict[str, Part] | None]:
    """The first of the claim's data sets that is at hand, or why none is."""
    problem = ""
    for name in claim.data:
        try:
            return name, load_dataset(registry, name, folder)
        except UnavailableError as error:
            problem = str(error)
    return problem, None


def _as_float(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images


def _moments(images: Tensor) -> tuple[float, float]:
    """Mean and population deviation over all pixels, as the source's code standardises."""
    pixels = _as_float(images).double()
    return float(pixels.mean()), float(pixels.std(correction=0))


@torch.inference_mode()
def _correct(network: nn.Module, images: Tensor, labels: Tensor) -> int:
    batches = zip(images.split(BATCH), labels.split(BATCH), strict=True)
    return sum(int((network(shown).argmax(1) == right).sum()) for shown, right in batches)


def _verdict(claim: WeightsClaim, published: float, correct: int, images: int, *, same: bool) -> Verdict:
    """On the source's own images the number comes back within rounding and chance; on others within the margin."""
    low, high = wilson(correct, images)
    if same:
        return "reproduced" if low <= published <= high else "refuted"
    margin = claim.margin / 100
    if published - margin <= low and high <= published + margin:
        return "holds on the look-alike"
    if high < published - margin or low > published + margin:
        return "fails on the look-alike"
    return "undecided"
