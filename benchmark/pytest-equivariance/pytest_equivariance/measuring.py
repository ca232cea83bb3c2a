"""Measures whether a network is equivariant: the output under every element, against what rounding can explain.

The error is `rms(f(g x) − g f(x)) / rms(f(x) − mean f)`. An exact network stays below `2 · N · u · κ`: N terms go into
an output (the fan-ins of all layers, and the values of an image), u is the unit roundoff, and κ the measured growth of
a small change of the input (Higham, *Accuracy and Stability of Numerical Algorithms*, §3.1).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from pytest_equivariance.arithmetic import as_dtype, copy_of, full_precision

IMAGES = 4
CHANGE = 0.2
"""The noise on changed weights, of their size."""
STEP = 1e-6
"""The small change whose growth is measured."""
UNDECIDED = 1e-2
"""Of the spread of the outputs: a bound that is no smaller cannot tell rounding from a broken symmetry."""

Element = tuple[int, bool]
"""Quarter turns, and whether a mirror comes first."""


def elements(group: str) -> list[Element]:
    """The elements that move an image: of p2, pm, p4 or p4m."""
    turns = {"p2": (0, 2), "pm": (0,), "p4": range(4), "p4m": range(4)}[group]
    every = [(turn, mirror) for mirror in (False, True) for turn in turns if not mirror or "m" in group]
    return [one for one in every if one != (0, False)]


def act(images: Tensor, element: Element) -> Tensor:
    """Move the pixels of (…, height, width)."""
    turns, mirror = element
    return (images.flip(-1) if mirror else images).rot90(turns, (-2, -1))


@dataclass(frozen=True)
class Measured:
    """One network at one size, in one arithmetic and one state of its weights."""

    network: str
    group: str
    size: int
    dtype: str
    weights: str
    error: float
    bound: float

    @property
    def verdict(self) -> str:
        """`exact`, `broken`, or `undecided` where rounding may be as large as a broken symmetry."""
        if self.bound >= UNDECIDED:
            return "broken" if self.error > self.bound else "undecided"
        return "exact" if self.error <= self.bound else "broken"

    def document(self) -> dict[str, Any]:
        """For reports; what is not finite is null."""
        numbers = {
            name: None if not math.isfinite(getattr(self, name)) else getattr(self, name) for name in ("error", "bound")
        }
        return asdict(self) | numbers | {"verdict": self.verdict}


def judge(
    model: Any,
    size: int,
    group: str,
    *,
    channels: int = 3,
    output: str = "invariant",
    dtypes: Sequence[str] = ("float64", "float32"),
    change_weights: bool = True,
) -> list[Measured]:
    """Measure a network at one size: each arithmetic, with the weights given and changed.

    Raises:
        TypeError: this is no network, and makes none.
        ValueError: the size is 1, the network cannot be copied, or the output is no tensor of real or complex numbers,
            not finite, or the same for all images.
    """
    if size < 2:
        raise ValueError(f"size (={size}) must be at least 2: no element moves a single pixel")
    given = network_of(model, size)
    states = {"given": given, "changed": changed(given, size, channels)} if change_weights else {"given": given}
    found = []
    for weights, network in states.items():
        images = example(size, channels)
        growth = condition(network, images)
        terms = fan_in(network) + images[0].numel()
        for dtype in dtypes:
            kind: torch.dtype = getattr(torch, dtype)
            with full_precision(), torch.autocast("cpu", enabled=False):
                error = deviation(as_dtype(network, kind), images.to(kind), group, output)
            bound = 2 * terms * torch.finfo(kind).eps / 2 * growth
            found.append(Measured(name_of(model), group, size, dtype, weights, error, bound))
    return found


def network_of(model: Any, size: int) -> nn.Module:
    """A float64 copy in evaluation mode; a class or function makes it, of the size where it takes one."""
    made = model
    if not isinstance(model, nn.Module):
        if not callable(model):
            raise TypeError(f"{model!r} is no torch.nn.Module and makes none")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            made = _call(model, size)
    if not isinstance(made, nn.Module):
        raise TypeError(f"{name_of(model)} gave a {type(made).__name__}; it must give a torch.nn.Module")
    return as_dtype(made, torch.float64)


def _call(model: Callable[..., Any], size: int) -> Any:
    parameters = inspect.signature(model).parameters
    if "size" in parameters:
        return model(size=size)
    needed = [one for one in parameters.values() if one.default is one.empty and one.kind.name.startswith("POSITIONAL")]
    return model(size) if len(needed) == 1 and not isinstance(model, type) else model()


def example(size: int, channels: int) -> Tensor:
    """Images (4, channels, size, size) of noise, the same each time."""
    return torch.rand(IMAGES, channels, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@torch.no_grad()
def changed(network: nn.Module, size: int, channels: int) -> nn.Module:
    """A copy with noise on every trainable parameter, and norm statistics of its own on the images."""
    generator = torch.Generator().manual_seed(1)
    other = copy_of(network)
    other.train()
    for parameter in other.parameters():
        if parameter.requires_grad and parameter.numel():
            scale = parameter.abs().square().mean().sqrt().clamp(min=0.1)
            parameter.add_(CHANGE * scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    other.eval()
    norms = [one for one in other.modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    run(other, example(size, channels))
    for norm, momentum in zip(norms, before, strict=True):
        norm.eval()
        norm.momentum = momentum
    return other


def fan_in(network: nn.Module) -> int:
    """How many products go into one output: the fan-ins of all weights that are no vectors.

    Weights are what the `state_dict` of `torch.nn` holds of a network: those of a layer with two names count twice.
    """
    weights = (
        tensor
        for _, layer in network.named_modules(remove_duplicate=False)
        for name, tensor in (*layer._parameters.items(), *layer._buffers.items())
        if tensor is not None and name not in layer._non_persistent_buffers_set
    )
    return sum(one[0].numel() for one in weights if one.ndim > 1 and len(one))


@torch.no_grad()
def deviation(network: nn.Module, images: Tensor, group: str, output: str) -> float:
    """The largest error at the output over the elements; infinite where shapes differ.

    Raises:
        ValueError: all images have the same output, so that nothing shows, or one that is not finite.
    """
    upright = run(network, images)
    spread = _spread(upright)
    errors = []
    for element in elements(group):
        turned = run(network, act(images, element))
        expected = act(upright, element) if output == "scalar" else upright
        errors.append(math.inf if turned.shape != expected.shape else rms(turned - expected) / spread)
    return max(errors)


@torch.no_grad()
def condition(network: nn.Module, images: Tensor) -> float:
    """By how much a small relative change of the images grows at the output, at least 1."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(2), dtype=images.dtype)
    upright = run(network, images)
    moved = run(network, images + STEP * rms(images) * noise)
    return max(1.0, rms(moved - upright) / _spread(upright) / STEP)


def run(network: nn.Module, images: Tensor) -> Tensor:
    """The output of a network on a copy of the images.

    Raises:
        ValueError: it is not one tensor, holds whole numbers, or is not finite.
    """
    output = tensor_of(network(images.clone()))
    if output is None:
        raise ValueError(f"{type(network).__name__} must put out one tensor")
    if not (output.is_floating_point() or output.is_complex()):
        kind = str(output.dtype).removeprefix("torch.")
        raise ValueError(f"{type(network).__name__} puts out {kind}: it must put out the scores behind it")
    if not output.isfinite().all():
        raise ValueError(f"{type(network).__name__} puts out numbers that are not finite: nothing can be told from it")
    return output


def tensor_of(output: Any) -> Tensor | None:
    """The tensor itself, or that of a geometric tensor."""
    inner = output if isinstance(output, Tensor) else getattr(output, "tensor", None)
    return inner if isinstance(inner, Tensor) else None


def rms(values: Tensor) -> float:
    """The root of the mean square."""
    return float(values.abs().double().square().mean().sqrt())


def _spread(outputs: Tensor) -> float:
    spread = rms(outputs - outputs.mean(0))
    if not spread > 0:
        raise ValueError("all images have the same output: nothing can be told from it")
    return spread


def name_of(model: Any) -> str:
    """What a network is called in messages."""
    return str(getattr(model, "__name__", type(model).__name__))
