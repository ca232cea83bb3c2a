"""Scores a trained network under every group element and angle: the counts from which all metrics are computed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gcnnbench.cards.evaluation import Evaluation
from gcnnbench.data.images import Images
from gcnnbench.device import arithmetic, scoring_batch, synchronise
from gcnnbench.formatting import how_many
from gcnnbench.nn.groups import ActingGroup, Element
from gcnnbench.rewriting.folded import for_scoring
from gcnnbench.scoring.metrics import Confusion, Counts, Ordered


class UnusableError(Exception):
    """The network's predictions cannot be scored; the cell fails and says why."""


@dataclass
class EvaluationState:
    """What has been scored so far, on the CPU.

    `logits` maps the name of an element to logits (images, classes) in float32, by the classes that the images have
    upright, `classes` maps an angle in degrees to predicted classes (images,) in int16. `seconds` and `scored` (images)
    cover the passes actually made.
    """

    logits: dict[str, Tensor] = field(default_factory=dict)
    classes: dict[str, Tensor] = field(default_factory=dict)
    seconds: float = 0.0
    scored: int = 0


def evaluate(
    network: nn.Module,
    images: Images,
    protocol: Evaluation,
    group: ActingGroup,
    threads: int,
    state: EvaluationState,
) -> Iterator[EvaluationState]:
    """Score what `state` lacks of each group element (index-exact) and angle (bilinear), yielding it after every one.

    A rotation by 0° is the identity bit for bit, so that angle takes the upright scores. TF32 and bf16 are off.

    Raises:
        UnusableError: a logit is not finite, or all upright images are put into one class.
    """
    network = for_scoring(network)

    def moved(element: Element) -> Callable[[slice], Tensor]:
        return lambda batch: shown_moved(images.batch(batch), element)

    def rotated(angle: int) -> Callable[[slice], Tensor]:
        return lambda batch: images.rotated_batch(batch, angle, protocol.curve.fill)

    for element in group.elements:
        if element.name not in state.logits:
            scores = _score(network, images, moved(element), threads, state)
            state.logits[element.name] = by_upright_class(scores, protocol, element)
            yield state
    upright = state.logits[group.elements[0].name]
    for angle in protocol.curve.angles:
        if str(angle) not in state.classes:
            logits = _score(network, images, rotated(angle), threads, state) if angle else upright
            state.classes[str(angle)] = logits.argmax(1).to(torch.int16)
            yield state
    if upright.argmax(1).unique().numel() == 1:
        raise UnusableError(f"every upright test image is put into class {int(upright[0].argmax())}")


def shown_moved(images: Tensor, element: Element) -> Tensor:
    """Images (images, channels, height, width) moved by an element, in memory as unmoved ones are, row by row.

    A quarter turn is a view: its strides would tell a network that the images are turned, and how.
    """
    return element.act(images).contiguous()


def by_upright_class(logits: Tensor, protocol: Evaluation, element: Element) -> Tensor:
    """The logits (images, classes) of moved images in the order of the classes that the images have upright.

    Where the labels move with the image, the score of a class is that of the class that it becomes; so a prediction is
    right where it moves along, and everything that is counted of it is counted by upright labels.
    """
    moved = (protocol.labels or {}).get(element.name)  # type: ignore[call-overload]
    return logits if moved is None else logits[:, list(moved)]


@torch.inference_mode()
def _score(
    network: nn.Module, images: Images, shown: Callable[[slice], Tensor], threads: int, state: EvaluationState
) -> Tensor:
    """Logits (images, classes) of all images as they are shown, in batches."""
    device = images.labels.device
    start = time.perf_counter()
    with arithmetic(device, "fp32", threads):
        size = scoring_batch(device, images.size)
        batches = (slice(first, first + size) for first in range(0, len(images), size))
        logits = torch.cat([network(shown(batch)).float() for batch in batches]).cpu()
    synchronise(device)
    state.seconds += time.perf_counter() - start
    state.scored += len(images)
    if not logits.isfinite().all():
        raise UnusableError(
            f"logits of {int((~logits.isfinite()).any(1).sum())} of {how_many(len(images), 'image')} are not finite"
        )
    return logits


def count(state: EvaluationState, labels: Tensor, classes: int, *, auc: bool = False) -> Counts:
    """Confusion matrices of every condition, and the joint counts of upright and moved predictions.

    Args:
        state: a complete evaluation.
        labels: true classes (images,).
        classes: the number of classes.
        auc: count how the upright scores order the images of two classes, too.
    """
    predicted = {name: logits.argmax(1) for name, logits in state.logits.items()}
    upright, *_ = predicted.values()
    labels = labels.cpu()
    return Counts(
        elements={name: _joint(labels, choice, classes) for name, choice in predicted.items()},
        angles={name: _joint(labels, choice.long(), classes) for name, choice in state.classes.items()},
        flips={name: _joint(upright, choice, classes) for name, choice in list(predicted.items())[1:]},
        ordered=_ordered(next(iter(state.logits.values())), labels) if auc else None,
    )


def _ordered(logits: Tensor, labels: Tensor) -> Ordered:
    """How (logit of class 1 − logit of class 0) orders the pairs of an image of class 1 and one of class 0."""
    scores = logits[:, 1].double() - logits[:, 0].double()
    lower = scores[labels == 0].sort().values
    below, up_to = (torch.searchsorted(lower, scores[labels == 1], right=right) for right in (False, True))
    return Ordered(concordant=int(below.sum()), tied=int((up_to - below).sum()))


def _joint(rows: Tensor, columns: Tensor, classes: int) -> Confusion:
    counts = torch.bincount(rows * classes + columns, minlength=classes * classes)
    return tuple(tuple(row) for row in counts.view(classes, classes).tolist())
