"""Which layers the Lie derivative of a network comes from: an exact decomposition into the layers' contributions.

After the layerwise analysis of Gruver, Finzi, Goldblum & Wilson 2022 (arXiv 2210.02984, section 4). With the layers f_k
in the order in which they run, z_k the input of f_k and X the generator of the motion on any tensor with pixels, 0 on
vectors,

    c_k = J_after(f_k(z_k)) · (J_{f_k}(z_k)[X z_k] − X f_k(z_k)),      Σ_k c_k + c_between = J[X x].

c_between is what the operations between the layers add, if they do not commute with the motion: a functional ReLU or
max-pool, or features whose pixels are lost. Additions, concatenations and reshapes commute. The generator and the
derivatives are taken at the features themselves, in float64, so the sum is exact; the official code takes them at
bilinearly resampled features, which leave ties behind a ReLU by a rounding error, and does not add up where max-pooling
follows.

The sum telescopes whatever X is on inner features, so it finds no wrong step or centre; those come from the operations
that ran, and a layer whose pixels cannot be followed is refused by name. Its part is then in c_between.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

from gcnnbench.equivariance.calls import Call, Place, Places, called, layer_names, moved_at, places_of
from gcnnbench.equivariance.depths import output_tensor
from gcnnbench.equivariance.lie import differentiable, require_movable, without_derivative
from gcnnbench.equivariance.motions import Motion, Stencil, generator
from gcnnbench.equivariance.precision import Tensors, device_of, forward, tensors
from gcnnbench.errors import UserError

BETWEEN = "between layers"
MOST_CLASSES = 32
PROBES = 32
"""Random directions of the output that stand for its classes where it has more than `MOST_CLASSES`."""


@dataclass(frozen=True)
class Contribution:
    """What one layer contributes, over all its calls.

    Args:
        layer: its name, or `between layers`.
        kind: its class, or empty.
        mean_square: `mean c_k²` over images and classes.
        share: `Σ c_k · J[X x] / Σ (J[X x])²`; the shares of all layers add up to one, and are negative where a layer
            takes back what others did.
    """

    layer: str
    kind: str
    mean_square: float
    share: float


@dataclass(frozen=True)
class Decomposition:
    """The Lie derivative of the output under one motion, by layer.

    Args:
        motion: of the image.
        whole: `mean (J[X x])²` over images and classes.
        contributions: of the layers that were measured, in the order in which they ran first.
        between: what is left.
        refused: layers that cannot be measured, with the reason.
        probes: how many random directions stand for the classes; None where every class was taken.
    """

    motion: Motion
    whole: float
    contributions: tuple[Contribution, ...]
    between: Contribution
    refused: Mapping[str, str]
    probes: int | None


def decompose(
    network: nn.Module, images: Tensor, motion: Motion, *, stencil: Stencil = "central", as_scalar: bool = False
) -> Decomposition:
    """Split the Lie derivative of the logits into the contributions of the layers.

    Args:
        network: puts out logits; it is left as it was.
        images: (images, channels, height, width), at least two.
        motion: of the images.
        stencil: how slopes on pixels are taken.
        as_scalar: turn all features as if they were scalar, regular ones too, as the paper does; else layers with
            regular features are refused under rotations.

    Raises:
        UserError: the images are not square and should be turned, the output is no logits, an operation has no
            derivative, or nothing changes, so that there is nothing to decompose.
    """
    require_movable(images, motion)
    names = layer_names(network)
    kinds = {name: type(module).__name__ for name, module in network.named_modules()}
    swapped = tensors(network, torch.float64)
    shown = images.to(device_of(network, images), torch.float64).contiguous()
    run = _Run(network, swapped, motion, stencil, as_scalar, places_of(network, shown[:1], names))
    rows = [run.image(image[None]) for image in shown]
    slopes, whole = torch.cat([slope for slope, _, _ in rows]), torch.stack([one for _, one, _ in rows])
    if not float(whole.square().mean()) or not torch.isfinite(whole).all():
        raise UserError("the derivative of the output is zero everywhere, or not finite: there is nothing to decompose")
    measured = [name for name in dict.fromkeys(name for _, _, row in rows for name in row) if name not in run.refused]
    parts = {name: torch.stack([row[name] for _, _, row in rows]) for name in measured}
    rest = whole - sum(parts.values(), torch.zeros_like(whole))
    return Decomposition(
        motion,
        float(slopes.square().mean()),
        tuple(_contribution(name, kinds[name], part, whole) for name, part in parts.items()),
        _contribution(BETWEEN, "", rest, whole),
        run.refused,
        run.probes,
    )


def _contribution(name: str, kind: str, part: Tensor, whole: Tensor) -> Contribution:
    share = float((part * whole).sum() / whole.square().sum())
    return Contribution(name, kind, float(part.square().mean()), share)


@dataclass
class _Run:
    """A network that is decomposed image by image, for a batch may lie in any dimension of inner features."""

    network: nn.Module
    swapped: Tensors
    motion: Motion
    stencil: Stencil
    as_scalar: bool
    places: Mapping[Call, Places]
    refused: dict[str, str] = field(default_factory=dict)
    probes: int | None = None

    def image(self, image: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """One image's J[X x] (1, classes); the same along the directions (directions,), and each layer's part of it."""
        with differentiable(self.network):
            slope = self._whole(image)
            directions = self._directions(slope)
            with torch.enable_grad():
                logits, outputs, brackets = self._forward(image)
                parts: dict[str, list[Tensor]] = {name: [] for name, _ in outputs}
                for direction in directions:
                    inner = torch.autograd.grad(
                        (logits * direction).sum(), list(outputs.values()), retain_graph=True, allow_unused=True
                    )
                    sums = {name: torch.zeros_like(logits[0, 0]) for name in parts}
                    for (call, bracket), gradient in zip(brackets.items(), inner, strict=True):
                        if gradient is not None:
                            sums[call[0]] = sums[call[0]] + (gradient * bracket).sum()
                    for name, total in sums.items():
                        parts[name].append(total.detach())
        return slope, directions @ slope[0], {name: torch.stack(sums) for name, sums in parts.items()}

    def _whole(self, image: Tensor) -> Tensor:
        """J[X x] (1, classes)."""

        def run(shown: Tensor) -> Tensor:
            return output_tensor(forward(self.network, self.swapped, shown))

        try:
            logits, slope, *_ = torch.func.jvp(run, (image,), (generator(image, self.motion, stencil=self.stencil),))
        except NotImplementedError as error:
            raise UserError(f"the network uses {without_derivative(error)}: it cannot be decomposed") from error
        if logits.ndim != 2:
            raise UserError(f"the network puts out {tuple(logits.shape)}, no logits (batch, classes)")
        return slope  # type: ignore[no-any-return]

    def _directions(self, slope: Tensor) -> Tensor:
        """Directions (directions, classes) of the output whose mean square is that over the classes."""
        classes = slope.shape[1]
        if classes <= MOST_CLASSES:
            return torch.eye(classes, dtype=slope.dtype, device=slope.device)
        self.probes = PROBES
        drawn = torch.randn(PROBES, classes, generator=torch.Generator().manual_seed(0), dtype=slope.dtype)
        return drawn.to(slope.device) / math.sqrt(classes)

    def _forward(self, image: Tensor) -> tuple[Tensor, dict[Call, Tensor], dict[Call, Tensor]]:
        """The logits with their graph, and of each call that can be measured the output and its bracket."""
        outputs: dict[Call, Tensor] = {}
        brackets: dict[Call, Tensor] = {}
        given: dict[Call, Any] = {}

        def before(call: Call, arguments: Any) -> None:
            given[call] = tree_map_only(Tensor, lambda tensor: tensor.detach().clone(), arguments)

        def after(call: Call, module: nn.Module, output: Any) -> Any:
            arguments, places = given.pop(call), self.places[call]
            if places.output is None and not any(places.arguments):
                return None
            try:
                if not isinstance(output, Tensor) or places.output is None:
                    raise UserError("it puts out no single tensor that comes from the image")
                bracket = self._bracket(module, arguments, places)
                if not output.requires_grad:
                    raise UserError("its output has no derivative")
            except UserError as error:
                self.refused.setdefault(call[0], str(error))
                return None
            outputs[call], brackets[call] = output, bracket
            return output.clone()  # what follows may write into it

        with called(self.network, layer_names(self.network), before, after):
            logits = output_tensor(forward(self.network, self.swapped, image.clone().requires_grad_()))
        return logits, outputs, brackets

    def _bracket(self, module: nn.Module, given: Any, places: Places) -> Tensor:
        """J_f(z)[X z] − X f(z) of one call."""
        leaves, form = tree_flatten(given)
        moving = [place for place, one in enumerate(leaves) if isinstance(one, Tensor) and one.is_floating_point()]
        slopes = tuple(self._moved(leaves[place], places.arguments[place]) for place in moving)

        def run(*inputs: Tensor) -> Tensor:
            filled = list(leaves)
            for place, tensor in zip(moving, inputs, strict=True):
                filled[place] = tensor.clone()
            args, kwargs = tree_unflatten(filled, form)
            return module.forward(*args, **kwargs)  # type: ignore[no-any-return]

        try:
            value, slope, *_ = torch.func.jvp(run, tuple(leaves[place] for place in moving), slopes)
        except NotImplementedError as error:
            raise UserError(f"it uses {without_derivative(error)}") from error
        return slope - self._moved(value, places.output)  # type: ignore[no-any-return]

    def _moved(self, features: Tensor, place: Place | None) -> Tensor:
        return moved_at(features, place, self.motion, self.stencil, as_scalar=self.as_scalar)
