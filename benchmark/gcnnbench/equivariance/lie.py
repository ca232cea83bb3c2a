"""Local equivariance error under continuous rotation and translation: the Lie derivative of a network.

After Gruver, Finzi, Goldblum & Wilson 2022, *The Lie Derivative for Measuring Learned Equivariance* (arXiv 2210.02984).
With the motion g_t of the image, t in radians or input pixels, the Lie derivative of a layer is

    L f(x) = d/dt ρ(g_t)⁻¹ f(g_t x) at t = 0   =   J_f(x)[X x] − X f(x),

X the generator of the motion. **The definition used here** is the right-hand side: J by forward-mode derivatives in
float64, and X on pixels by a stencil of `motions.py`. At logits X f = 0. A layer reports `mean (L f)²` over images and
entries, and `rms L f / rms(f − mean_x f)`, comparable between layers and networks. How many input pixels lie between
two entries of a layer, and where its centre is, is followed through the operations that ran, never taken from sizes.

What a stencil does to an image whose finest detail is as fine as the pixels is not the network's doing:
`interpolation_error` measures that part alone, by moving the image there and back.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from gcnnbench.equivariance.certificate.lattice import Lattices
from gcnnbench.equivariance.certificate.verdict import lattices_of
from gcnnbench.equivariance.depths import depth_names, known_layers, observed, output_tensor
from gcnnbench.equivariance.motions import MOTIONS, Motion, Stencil, generator, moved
from gcnnbench.equivariance.precision import Tensors, device_of, evaluating, forward, tensors
from gcnnbench.errors import UserError
from gcnnbench.nn.fields import Field, Invariant, ScalarField

OUTPUT = "output"
SAME = 1e-24
"""Outputs whose variance over images is below this share of their mean square differ by rounding only."""


@dataclass(frozen=True)
class LocalError:
    """The local equivariance error of one layer under one motion, per radian or per input pixel.

    Args:
        layer: its name, or `output`.
        motion: the motion of the image.
        mean_square: `mean (L f)²` over images and entries.
        relative: `rms L f / rms(f − mean_x f)`.
        expected: of the output, `mean |L softmax f|` over images and classes, a translation in halves of the image's
            width, (W − 1)/2 pixels: the quantity and unit of Gruver et al.; None of layers.
    """

    layer: str
    motion: Motion
    mean_square: float
    relative: float
    expected: float | None = None


def local_errors(
    network: nn.Module,
    images: Tensor,
    motion: Motion,
    *,
    layers: tuple[str, ...] | None = None,
    stencil: Stencil = "central",
) -> tuple[LocalError, ...]:
    """The local equivariance error at these layers and at the logits.

    Args:
        network: puts out logits; it is left as it was.
        images: (images, channels, height, width), at least two.
        motion: see `generator`.
        layers: names of layers with a `field`; those of which the records keep the error where None.
        stencil: how slopes on pixels are taken, see `motions.py`.

    Raises:
        UserError: the images are not square and should be turned. A layer is not there, says nothing of how its output
            moves, does not run, or has pixels whose places over the image cannot be followed. The motion has no action
            on a layer's field: a rotation by a small angle does not act on a regular field of quarter turns. An
            operation has no forward derivative. Or nothing changes, so that there is no derivative to speak of.
    """
    require_movable(images, motion)
    names = depth_names(network) if layers is None else tuple(layers)
    _require_actions(network, names)
    device = device_of(network, images)
    shown = images.to(device, torch.float64).contiguous()
    values, slopes, fields = _derivatives(
        network, tensors(network, torch.float64), shown, generator(shown, motion, stencil=stencil), names
    )
    silent = [name for name in names if name not in values]
    if silent and layers is not None:
        raise UserError(f"{silent[0]} puts out no tensor in a forward pass: its local error is not defined")
    places = lattices_of(network, shown, names)
    found = [
        _error(name, values[name], slopes[name], fields[name], motion, stencil, places.get(name)) for name in values
    ]
    unit = 1 if motion == "rotation" else (images.shape[-1] - 1) / 2
    expected = _expected(values[OUTPUT], slopes[OUTPUT]) * unit
    return tuple(replace(one, expected=expected if one.layer == OUTPUT else None) for one in found)


def require_movable(images: Tensor, motion: Motion) -> None:
    """Refuse what no local error is defined for.

    Raises:
        UserError: an unknown motion, fewer than two images, or images that are not square and should be turned.
    """
    if motion not in MOTIONS:
        raise UserError(f"unknown motion {motion!r}: one of {', '.join(MOTIONS)}")
    if len(images) < 2 or images.ndim != 4:
        raise UserError(f"the local error needs at least two images (images, channels, height, width): {images.shape}")
    if motion == "rotation" and images.shape[-1] != images.shape[-2]:
        raise UserError(f"the images are {images.shape[-2]}×{images.shape[-1]}; a rotation needs square ones")


def _expected(logits: Tensor, slope: Tensor) -> float:
    """`mean |d softmax|` for logits and their derivative (images, classes)."""
    probabilities = logits.softmax(1)
    return float((probabilities * (slope - (probabilities * slope).sum(1, keepdim=True))).abs().mean())


def _require_actions(network: nn.Module, names: tuple[str, ...]) -> None:
    """Refuse layers by name that are not there, or whose output moves nobody knows how."""
    modules = dict(network.named_modules())
    for name in names:
        if name not in modules:
            near = get_close_matches(name, modules, 3)
            hint = f"did you mean {', '.join(near)}?" if near else f"it has {', '.join([*modules][1:13])}"
            raise UserError(f"there is no layer {name!r} in {type(network).__name__}; {hint}")
        if name not in known_layers(network):
            raise UserError(
                f"{name} ({type(modules[name]).__name__}) has no `field` that says how its output moves: "
                "mark it with gcnnbench.nn.fields.with_field, or leave it out"
            )


def _derivatives(
    network: nn.Module, swapped: Tensors, images: Tensor, direction: Tensor, names: tuple[str, ...]
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Field]]:
    """The layers' outputs f(x), their directional derivatives J_f(x)[direction], and their fields."""
    fields: dict[str, Field] = {}

    def run(shown: Tensor) -> dict[str, Tensor]:
        seen: dict[str, Tensor] = {}

        def see(name: str, output: Tensor, field: Field) -> None:
            seen[name], fields[name] = output.clone(), field

        with observed(network, names, see):
            seen[OUTPUT] = output_tensor(forward(network, swapped, shown))
        fields[OUTPUT] = Invariant()
        return seen

    with differentiable(network):
        try:
            values, slopes, *_ = torch.func.jvp(run, (images,), (direction,))
        except NotImplementedError as error:
            raise UserError(
                f"the network uses {without_derivative(error)}: its local error cannot be measured"
            ) from error
    return values, slopes, fields


@contextmanager
def differentiable(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, and attention written out: fused, it has no forward derivative on CPUs."""
    with evaluating(network), sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "`torch.jit.script", DeprecationWarning)  # torch's own, at its first jvp
        yield


def without_derivative(error: NotImplementedError) -> str:
    """What torch says of an operation that has no forward derivative, in words."""
    said = re.search(r"(?:derivative|forward AD).*?'?(\w+)'?(?:\.| that| because)", str(error))
    return f"an operation without a forward derivative ({said[1] if said else error})"


def _error(
    name: str, value: Tensor, slope: Tensor, field: Field, motion: Motion, stencil: Stencil, lattices: Lattices | None
) -> LocalError:
    spatial = value.ndim == 4 and value[0, 0].numel() > 1 and not isinstance(field, Invariant)
    if spatial and motion == "rotation" and not isinstance(field, ScalarField):
        raise UserError(
            f"{name} is a {type(field).__name__}, on which a rotation by a small angle does not act; "
            "look at scalar fields and the output (layers=…), or at a translation"
        )
    if value.ndim == 3 and not isinstance(field, Invariant):
        raise UserError(f"{name} puts out tokens {tuple(value.shape)}, not a map of pixels: how they move is not known")
    if spatial:
        if lattices is None:
            raise UserError(f"where the pixels of {name} lie over the image cannot be followed: leave it out")
        try:
            slope = slope - generator(value, motion, lattices, stencil)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
    spread = float((value - value.mean(0)).square().mean())
    change = float(slope.square().mean())
    if not math.isfinite(change) or spread <= SAME * float(value.square().mean()):
        raise UserError(f"{name} is the same for all images, or not finite: its local error is not defined")
    if change == 0:
        raise UserError(f"the derivative at {name} is zero everywhere: it cannot be told from one that does not exist")
    return LocalError(name, motion, change, (change / spread) ** 0.5)


def interpolation_error(network: nn.Module, images: Tensor, motion: Motion, amount: float) -> float:
    """What interpolation alone does to the logits: the images moved there and back, against themselves.

    `rms(f(g⁻¹ g x) − f(x)) / rms(f(x) − mean_x f(x)) / amount`, in the unit of `LocalError.relative`. A local error
    that is not far above this says little about the network.

    Args:
        network: puts out logits; it is left as it was.
        images: (images, channels, size, size), at least two.
        motion: see `generator`.
        amount: radians or pixels, not zero.

    Raises:
        UserError: the amount is zero, or the output is the same for all images, or not finite.
    """
    if not amount:
        raise UserError("amount (=0) must not be zero: nothing would move")
    device = device_of(network, images)
    shown = images.to(device, torch.float64)
    swapped = tensors(network, torch.float64)
    with evaluating(network):
        still = output_tensor(forward(network, swapped, shown))
        back = output_tensor(forward(network, swapped, moved(moved(shown, motion, amount), motion, -amount)))
    spread = float((still - still.mean(0)).square().mean())
    change = float((back - still).square().mean())
    if not math.isfinite(change) or spread <= SAME * float(still.square().mean()):
        raise UserError("the output is the same for all images, or not finite: the interpolation error is not defined")
    return math.sqrt(change / spread) / abs(amount)
