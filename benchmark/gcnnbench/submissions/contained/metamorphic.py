"""Metamorphic tests of a network's scores: relations that hold for every honest network, whatever it has learnt.

The logits of an image depend on that image and the weights alone: not on its neighbours in the batch, on their order,
on what was shown before, and not on a single bit of a single pixel more than on the next. A look-up table of known
images, adaptation to the test set and state that is carried along break one of these.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn

from gcnnbench.data.images import Images
from gcnnbench.formatting import how_many
from gcnnbench.submissions.findings import Finding

SHOWN = 32
"""Images that each relation is tried on."""

TOLERANCE = 1e-4
"""Of the largest logit: batches of other sizes are summed in another order, which moves the last bits."""

JUMP = 50.0
"""How many times more the first step of one pixel may change the logits than the second."""

NOTABLE = 0.01
"""The share of the logits' spread below which a change is no jump."""

TIES = 0.01
"""The share of images whose two largest logits may be equal."""


def contents(network: nn.Module) -> dict[str, Tensor]:
    """Copies of the parameters and buffers."""
    named = (*network.named_parameters(), *network.named_buffers())
    return {name: value.detach().clone() for name, value in named}


def scoring_findings(
    network: nn.Module, images: Images, logits: Tensor | None, held: dict[str, Tensor]
) -> Iterator[Finding]:
    """Try all relations on a network as it is scored.

    Args:
        network: as it came out of scoring, or a new one.
        images: the first ones are shown.
        logits: (images, classes) that scoring gave these images; None for a network that was not scored.
        held: its parameters and buffers before it was scored.
    """
    network.eval()
    with torch.inference_mode():
        shown = images.batch(slice(SHOWN))
        upright = _logits(network, shown)
        yield from _batches(network, shown, upright)
        yield from _state(network, shown, upright, None if logits is None else logits[:SHOWN], held)
        yield from _look_up(network, images, upright)
    yield from _ties(upright if logits is None else logits)


def _logits(network: nn.Module, images: Tensor) -> Tensor:
    return network(images.clone()).double()  # type: ignore[no-any-return]


def _centred(logits: Tensor) -> Tensor:
    """Minus the mean of each image, beside which every difference may look small."""
    return logits - logits.mean(-1, keepdim=True)


def _differ(one: Tensor, other: Tensor) -> bool:
    """Whether logits differ by more than rounding, as they are or once they are centred."""
    views = ((one, other), (_centred(one), _centred(other)))
    return any(bool(((a - b).abs().max() > TOLERANCE * b.abs().max()) | a.isnan().any()) for a, b in views)


def _batches(network: nn.Module, shown: Tensor, upright: Tensor) -> Iterator[Finding]:
    remedy = "let the logits of an image depend on that image alone: in evaluation mode use no batch statistics"
    alone = torch.cat([_logits(network, image[None]) for image in shown])
    doubled = _logits(network, torch.cat([shown[:1].expand_as(shown), shown]))[len(shown) :]
    for name, found in (("alone in its batch", alone), ("beside copies of another image", doubled)):
        if _differ(found, upright):
            worst = float((found - upright).abs().max())
            what = f"an image {name} gets logits that differ by {worst:.2g}"
            yield Finding(check="batch-independence", what=what, remedy=remedy)
            break
    order = torch.arange(len(shown)).roll(len(shown) // 3).flip(0)
    permuted = _logits(network, shown[order])
    if _differ(permuted, upright[order]):
        worst = float((permuted - upright[order]).abs().max())
        yield Finding(check="order", what=f"in another order the logits differ by {worst:.2g}", remedy=remedy)


def _state(
    network: nn.Module, shown: Tensor, upright: Tensor, scored: Tensor | None, held: dict[str, Tensor]
) -> Iterator[Finding]:
    remedy = "keep forward free of side effects: nothing that it is shown may change what it gives later"
    again = _logits(network, shown)
    if not torch.equal(again, upright):
        worst = float((again - upright).abs().max())
        yield Finding(
            check="state", what=f"the same images shown again get logits that differ by {worst:.2g}", remedy=remedy
        )
    elif scored is not None and _differ(upright, scored.double()):
        worst = float((upright - scored.double()).abs().max())
        what = f"after scoring, the first images get logits that differ by {worst:.2g}"
        yield Finding(check="state", what=what, remedy=remedy)
    given = shown.clone()
    network(given)
    if not torch.equal(given, shown):
        what = f"the network changes the images that it is given, by up to {float((given - shown).abs().max()):.2g}"
        yield Finding(check="input", what=what, remedy="leave the input alone: work on a copy, as in x = x - x.mean()")
    now = contents(network)
    changed = [name for name, value in held.items() if name not in now or not torch.equal(now[name], value)]
    if changed:
        yield Finding(check="state", what=f"scoring changed {changed[0]}", remedy=remedy)


def _look_up(network: nn.Module, images: Images, upright: Tensor) -> Iterator[Finding]:
    """One pixel by one level, then by a second: a smooth function moves as far both times, a table only the first."""
    pixels = images.pixels[:SHOWN]
    step = 1 if pixels.dtype == torch.uint8 else 1 / 255
    middle = pixels.shape[-1] // 2
    here = (slice(None), slice(None), middle, middle)
    level = pixels[here].float()
    inward = torch.where(2 * level < float(images.white.max()), step, -step)
    steps = []
    for count in (1, 2):
        moved = pixels.clone()
        moved[here] = (level + count * inward).to(pixels.dtype)
        one_bit = replace(images, pixels=moved, labels=images.labels[:SHOWN])
        steps.append(_logits(network, one_bit.batch(slice(None))))
    first, second = (steps[0] - upright).abs().amax(1), (steps[1] - steps[0]).abs().amax(1)
    jumps = int(((first > JUMP * second) & (first > NOTABLE * upright.std())).sum())
    if jumps > 1:
        yield Finding(
            check="look-up",
            what=f"for {jumps} of {how_many(len(first), 'image')} one level of one pixel changes the logits by "
            f"{float(first.max()):.2g}, and the next level hardly at all: these images are known by heart",
            remedy="let the logits be a continuous function of the pixels",
        )


def _ties(logits: Tensor) -> Iterator[Finding]:
    if not logits.isfinite().all():
        remedy = "give finite logits for every image"
        yield Finding(check="not-finite", what="some logits are not finite", remedy=remedy)
    elif logits.shape[1] > 1:
        first, second = logits.topk(2, dim=1).values.unbind(1)
        tied = int((first == second).sum())
        if tied > TIES * len(logits):
            yield Finding(
                check="ties",
                what=f"two classes have the same largest logit for {tied} of {how_many(len(logits), 'image')}",
                remedy="tell the classes apart by their logits: a tie goes to the first class, which says nothing",
            )
