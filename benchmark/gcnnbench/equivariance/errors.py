"""The equivariance error of a network at its depths and the invariance error of its logits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gcnnbench.equivariance.depths import See, depth_names, observed, output_tensor
from gcnnbench.equivariance.precision import best_dtype, device_of, evaluating, forward, tensors
from gcnnbench.equivariance.results import DepthError, EquivarianceState
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many
from gcnnbench.nn.fields import Field, known_action
from gcnnbench.nn.groups import Element
from gcnnbench.outside_text import as_line


@dataclass
class _Sums:
    """Running sums over images, all that the two forms of the error need: |·| and squares, of differences and of f."""

    absolute: float = 0.0
    square: float = 0.0
    pairs: int = 0
    norm: float = 0.0
    entries: int = 0
    defined: bool = True


@dataclass
class _Depths:
    """The features of one batch, and the sums over all batches so far."""

    features: dict[str, Tensor] = field(default_factory=dict)
    sums: dict[str, _Sums] = field(default_factory=dict)

    def keep(self, name: str, output: Tensor, action: Field) -> None:  # noqa: ARG002
        """See f(x)."""
        self.features[name] = _finite(output, f"a feature of {name}").clone()  # the next layer may work in place
        here = self.sums.setdefault(name, _Sums())
        here.norm += float(output.abs().square().sum())
        here.entries += output.numel()

    def compare(self, g: Element, size: Sequence[int]) -> See:
        """What to do with f(g x) of images of this height and width."""

        def see(name: str, output: Tensor, action: Field) -> None:
            here = self.sums[name]
            known = known_action(action, g, output, size)
            expected = action.act(self.features[name], g) if known else None
            if expected is None or expected.shape != output.shape:
                here.defined = False
                return
            difference = (expected - _finite(output, f"a feature of {name}")).abs()
            here.absolute += float(difference.sum())
            here.square += float(difference.square().sum())
            here.pairs += output.numel()

        return see

    def errors(self, elements: int) -> tuple[DepthError, ...]:
        """Both forms at every depth, null where they are not defined."""
        return tuple(_error(name, here, elements) for name, here in self.sums.items())


def _error(depth: str, sums: _Sums, elements: int) -> DepthError:
    if not sums.defined or not sums.pairs:
        return DepthError(depth=as_line(depth), paper=None, relative=None)
    relative = ((sums.square / sums.pairs) / (sums.norm / sums.entries)) ** 0.5 if sums.norm > 0 else None
    return DepthError(depth=as_line(depth), paper=sums.absolute / sums.pairs * elements, relative=relative)


def measure(
    network: nn.Module,
    images: Tensor,
    elements: Sequence[Element],
    *,
    batch_size: int = 128,
    dtype: torch.dtype | None = None,
) -> EquivarianceState:
    """The equivariance error at each depth, the invariance error of the logits and the share of flipped predictions.

    At a depth with the field's action g, over the elements other than the identity:
    `paper = Σ_g mean|g f(x) − f(g x)|` and `relative = rms(g f(x) − f(g x)) / rms f(x)`; at the logits
    `rms(f(g x) − f(x)) / rms(f(x) − mean_x f(x))`. The network runs in evaluation mode on copies of its tensors and is
    left as it was, bit for bit. Only sums and logits are kept from one batch to the next.

    Args:
        network: puts out logits (batch, classes); `depths` or the `field` of its children say where to look.
        images: the network's inputs (images, channels, height, width), square.
        elements: the elements of the group, the identity among them or not.
        batch_size: images in a pass.
        dtype: the arithmetic; float64 where None and the device has it.

    Raises:
        UserError: there are no images, they are of one pixel or not square, or the network puts out no logits.
        FloatingPointError: a feature or logit is not finite.
    """
    moving = [element for element in elements if element != Element()]
    if not moving or not len(images):
        raise UserError(f"the error needs images and an element that moves them; got {how_many(len(images), 'image')}")
    if images.shape[-1] != images.shape[-2]:
        raise UserError(f"the images are {images.shape[-2]}×{images.shape[-1]}; rotations need square ones")
    if images.shape[-1] == 1:
        raise UserError("the images are 1×1; no element moves a single pixel")
    device = device_of(network, images)
    dtype = dtype or best_dtype(device)
    names = depth_names(network)
    depths = _Depths()
    logits: list[Tensor] = []
    moved_square, flips = 0.0, 0

    with evaluating(network):
        swapped = tensors(network, dtype)
        for batch in images.split(batch_size):
            upright = batch.to(device, dtype)
            with observed(network, names, depths.keep):
                reference = _logits(forward(network, swapped, upright))
            logits.append(reference)
            for g in moving:
                with observed(network, names, depths.compare(g, images.shape[-2:])):
                    turned = _logits(forward(network, swapped, g.act(upright)))
                moved_square += float((turned - reference).square().sum())
                flips += int((turned.argmax(1) != reference.argmax(1)).sum())

    every = torch.cat(logits)
    spread = float((every - every.mean(0)).square().mean())
    difference = moved_square / (every.numel() * len(moving))
    return EquivarianceState(
        depths=depths.errors(len(moving)),
        invariance_error=(difference / spread) ** 0.5 if spread > 0 else None,
        flips=flips / (len(every) * len(moving)),
        dtype="float64" if dtype == torch.float64 else "float32",
    )


def _logits(output: object) -> Tensor:
    tensor = output_tensor(output)
    if tensor.ndim != 2:
        raise UserError(
            f"the network puts out {tuple(tensor.shape)}; the invariance error needs logits (batch, classes)"
        )
    return _finite(tensor, "a logit")


def _finite(output: Tensor, what: str) -> Tensor:
    if not output.isfinite().all():
        raise FloatingPointError(f"{what} is not finite, so no equivariance error is defined")
    return output
