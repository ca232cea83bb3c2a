"""Local equivariance error under continuous rotation and translation: the Lie derivative of a network.

After Gruver, Finzi, Goldblum & Wilson 2022, *The Lie Derivative for Measuring Learned Equivariance* (arXiv 2210.02984).
With the motion g_t of the image, t in radians or input pixels, the Lie derivative of a layer is

    L f(x) = d/dt ρ(g_t)⁻¹ f(g_t x) at t = 0   =   J_f(x)[X x] − X f(x),

X the generator of the motion. **The definition used here** is the right-hand side: J by forward-mode derivatives in
float64, and X on pixels by central differences, `∂f = (f[i+1] − f[i−1]) / 2` with zeros outside the image. (Bilinear
interpolation has no derivative at the pixels themselves, only one from each side; the central difference is their mean,
and the derivative of Keys's cubic interpolation.) At logits X f = 0. A layer reports `mean (L f)²` over images and
entries, and `rms L f / rms(f − mean_x f)`, comparable between layers and networks. How many input pixels lie between
two entries of a layer, and where its centre is, is followed through the operations that ran, never taken from sizes.

What central differences do to an image whose finest detail is as fine as the pixels is not the network's doing:
`interpolation_error` measures that part alone, by moving the image there and back.
"""

from __future__ import annotations

import math
import re
import warnings
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import pad

from gcnnbench.equivariance.certificate.lattice import WHOLE, Lattices
from gcnnbench.equivariance.certificate.verdict import lattices_of
from gcnnbench.equivariance.depths import depth_names, known_layers, observed, output_tensor
from gcnnbench.equivariance.precision import Tensors, device_of, evaluating, forward, tensors
from gcnnbench.errors import UserError
from gcnnbench.nn.fields import Field, Invariant, ScalarField

Motion = Literal["rotation", "translation-x", "translation-y"]
MOTIONS: tuple[Motion, ...] = ("rotation", "translation-x", "translation-y")
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
    """

    layer: str
    motion: Motion
    mean_square: float
    relative: float


def generator(features: Tensor, motion: Motion, lattices: Lattices = WHOLE) -> Tensor:
    """X f, how fast features change when they are moved: `−(v · ∇) f` with central differences, zeros outside.

    Args:
        features: (batch, channels, height, width).
        motion: counter-clockwise rotation about the image's centre, or a shift to the right or downwards.
        lattices: where the pixels of these features lie over the image.

    Raises:
        UserError: their places are not known.
    """
    steps = [lattice.step for lattice in lattices]
    if None in steps or any(lattice.unknown for lattice in lattices):
        raise UserError("how far its pixels lie apart is not known")
    (down, across), (y_step, x_step) = lattices, (float(step) for step in steps if step is not None)
    rows = (pad(features, (0, 0, 1, 1))[..., 2:, :] - pad(features, (0, 0, 1, 1))[..., :-2, :]) / 2
    columns = (pad(features, (1, 1))[..., 2:] - pad(features, (1, 1))[..., :-2]) / 2
    if motion == "translation-x":
        return -columns / x_step
    if motion == "translation-y":
        return -rows / y_step
    height, width = features.shape[-2:]
    y = torch.arange(height, dtype=features.dtype, device=features.device)[:, None] - (height - 1) / 2
    x = torch.arange(width, dtype=features.dtype, device=features.device) - (width - 1) / 2
    y, x = y * y_step + float(down.centre), x * x_step + float(across.centre)
    # rows count downwards, so a counter-clockwise turn has the velocity (x: y, y: −x)
    return x * rows / y_step - y * columns / x_step


def local_errors(
    network: nn.Module, images: Tensor, motion: Motion, *, layers: tuple[str, ...] | None = None
) -> tuple[LocalError, ...]:
    """The local equivariance error at these layers and at the logits.

    Args:
        network: puts out logits; it is left as it was.
        images: (images, channels, height, width), at least two.
        motion: see `generator`.
        layers: names of layers with a `field`; those of which the records keep the error where None.

    Raises:
        UserError: the images are not square and should be turned. A layer is not there, says nothing of how its output
            moves, does not run, or has pixels whose places over the image cannot be followed. The motion has no action
            on a layer's field: a rotation by a small angle does not act on a regular field of quarter turns. An
            operation has no forward derivative. Or nothing changes, so that there is no derivative to speak of.
    """
    if motion not in MOTIONS:
        raise UserError(f"unknown motion {motion!r}: one of {', '.join(MOTIONS)}")
    if len(images) < 2 or images.ndim != 4:
        raise UserError(f"the local error needs at least two images (images, channels, height, width): {images.shape}")
    if motion == "rotation" and images.shape[-1] != images.shape[-2]:
        raise UserError(f"the images are {images.shape[-2]}×{images.shape[-1]}; a rotation needs square ones")
    names = depth_names(network) if layers is None else tuple(layers)
    _require_actions(network, names)
    device = device_of(network, images)
    shown = images.to(device, torch.float64).contiguous()
    values, slopes, fields = _derivatives(
        network, tensors(network, torch.float64), shown, generator(shown, motion), names
    )
    silent = [name for name in names if name not in values]
    if silent and layers is not None:
        raise UserError(f"{silent[0]} puts out no tensor in a forward pass: its local error is not defined")
    places = lattices_of(network, shown, names)
    return tuple(_error(name, values[name], slopes[name], fields[name], motion, places.get(name)) for name in values)


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

    # fused attention has no forward derivative on CPUs; written out it has
    with evaluating(network), warnings.catch_warnings(), sdpa_kernel(SDPBackend.MATH):
        warnings.filterwarnings("ignore", "`torch.jit.script", DeprecationWarning)  # torch's own, at the first of these
        try:
            values, slopes, *_ = torch.func.jvp(run, (images,), (direction,))
        except NotImplementedError as error:
            said = re.search(r"(?:derivative|forward AD).*?'?(\w+)'?(?:\.| that| because)", str(error))
            raise UserError(
                f"the network uses an operation without a forward derivative ({said[1] if said else error}): "
                "its local error cannot be measured"
            ) from error
    return values, slopes, fields


def _error(
    name: str, value: Tensor, slope: Tensor, field: Field, motion: Motion, lattices: Lattices | None
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
            slope = slope - generator(value, motion, lattices)
        except UserError as error:
            raise UserError(f"{name}: {error}") from None
    spread = float((value - value.mean(0)).square().mean())
    change = float(slope.square().mean())
    if not math.isfinite(change) or spread <= SAME * float(value.square().mean()):
        raise UserError(f"{name} is the same for all images, or not finite: its local error is not defined")
    if change == 0:
        raise UserError(f"the derivative at {name} is zero everywhere: it cannot be told from one that does not exist")
    return LocalError(name, motion, change, (change / spread) ** 0.5)


def moved(images: Tensor, motion: Motion, amount: float) -> Tensor:
    """The images moved by radians or pixels, with Keys's cubic interpolation (a = −1/2) and zeros outside.

    Not `grid_sample`: its cubic has a = −3/4 and so slopes that are half as steep again as the image's own.

    Args:
        images: (images, channels, height, width).
        motion: see `generator`.
        amount: radians or pixels.
    """
    height, width = images.shape[-2:]
    y = torch.arange(height, dtype=images.dtype, device=images.device)[:, None] - (height - 1) / 2
    x = torch.arange(width, dtype=images.dtype, device=images.device) - (width - 1) / 2
    if motion == "rotation":
        rows, columns = math.sin(amount) * x + math.cos(amount) * y, math.cos(amount) * x - math.sin(amount) * y
    else:
        right, down = (amount, 0.0) if motion == "translation-x" else (0.0, amount)
        rows, columns = (y - down).expand(height, width), (x - right).expand(height, width)
    rows, columns = rows + (height - 1) / 2, columns + (width - 1) / 2
    flat, result = images.flatten(-2), torch.zeros_like(images)
    for row in (rows.floor() + tap for tap in range(-1, 3)):
        for column in (columns.floor() + tap for tap in range(-1, 3)):
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            place = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).long()
            weight = _keys(rows - row) * _keys(columns - column) * inside
            result += weight * flat[..., place.flatten()].unflatten(-1, (height, width))
    return result


def _keys(distance: Tensor) -> Tensor:
    """The kernel of Keys 1981, *Cubic Convolution Interpolation for Digital Image Processing*, equation 15."""
    t = distance.abs()
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return torch.where(t <= 1, near, torch.where(t < 2, far, torch.zeros_like(t)))


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
        UserError: the amount is zero, or the output is the same for all images.
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
    if spread <= SAME * float(still.square().mean()):
        raise UserError("the output is the same for all images: the interpolation error is not defined")
    return math.sqrt(float((back - still).square().mean()) / spread) / abs(amount)
