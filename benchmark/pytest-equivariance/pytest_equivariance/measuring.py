"""Measures whether a network is equivariant: the output under every element, against what rounding can explain.

The error is `rms(f(g x) − g f(x)) / rms(f(x) − mean f)`. An exact network stays below `2 · N · u · κ`: N terms go into
an output (the fan-ins of all layers, and the values of an image), u is the unit roundoff, and κ the measured growth of
a small change of the input (Higham, *Accuracy and Stability of Numerical Algorithms*, §3.1).
"""

from __future__ import annotations

import copy
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

IMAGES = 4
CHANGE = 0.2
"""The noise on changed weights, of their size."""
STEP = 1e-6
"""The small change whose growth is measured."""
UNDECIDED = 1e-2
"""Of the spread of the outputs: a bound that is no smaller cannot tell rounding from a broken symmetry."""
SEEN = 1e-6
"""A layer above it is broken, in float64; repairs are looked for so far from the size:"""
REACH = 8

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
        ValueError: the output is no tensor, or the same for all images.
    """
    given = network_of(model, size)
    states = {"given": given, "changed": changed(given, size, channels)} if change_weights else {"given": given}
    found = []
    for weights, network in states.items():
        images = example(size, channels)
        growth = condition(network, images)
        terms = fan_in(network) + images[0].numel()
        for dtype in dtypes:
            kind: torch.dtype = getattr(torch, dtype)
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


@torch.no_grad()
def as_dtype(network: nn.Module, dtype: torch.dtype) -> nn.Module:
    """A copy on the CPU, in this arithmetic and in evaluation mode, which some layers prepare when they enter it."""
    return copy.deepcopy(network).to("cpu", dtype).train().eval()


def example(size: int, channels: int) -> Tensor:
    """Images (4, channels, size, size) of noise, the same each time."""
    return torch.rand(IMAGES, channels, size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@torch.no_grad()
def changed(network: nn.Module, size: int, channels: int) -> nn.Module:
    """A copy with noise on every trainable parameter, and norm statistics of its own on the images."""
    generator = torch.Generator().manual_seed(1)
    other = copy.deepcopy(network).train()
    for parameter in other.parameters():
        if parameter.requires_grad and parameter.numel():
            scale = parameter.square().mean().sqrt().clamp(min=0.1)
            parameter.add_(CHANGE * scale * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    norms = [one for one in other.eval().modules() if isinstance(one, nn.modules.batchnorm._BatchNorm)]
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train().momentum = 1.0
    _run(other, example(size, channels))
    for norm, momentum in zip(norms, before, strict=True):
        norm.eval().momentum = momentum
    return other


def fan_in(network: nn.Module) -> int:
    """How many products go into one output: the fan-ins of all weights that are no vectors."""
    return sum(one[0].numel() for one in network.state_dict().values() if one.ndim > 1 and len(one))


@torch.no_grad()
def deviation(network: nn.Module, images: Tensor, group: str, output: str) -> float:
    """The largest error at the output over the elements; infinite where shapes differ.

    Raises:
        ValueError: all images have the same output, so that nothing shows.
    """
    upright = _run(network, images)
    spread = _spread(upright)
    errors = []
    for element in elements(group):
        turned = _run(network, act(images, element))
        expected = act(upright, element) if output == "scalar" else upright
        errors.append(math.inf if turned.shape != expected.shape else _rms(turned - expected) / spread)
    return max(errors)


@torch.no_grad()
def condition(network: nn.Module, images: Tensor) -> float:
    """By how much a small relative change of the images grows at the output, at least 1."""
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(2), dtype=images.dtype)
    upright = _run(network, images)
    moved = _run(network, images + STEP * _rms(images) * noise)
    return max(1.0, _rms(moved - upright) / _spread(upright) / STEP)


def _run(network: nn.Module, images: Tensor) -> Tensor:
    output = _tensor(network(images.clone()))
    if output is None:
        raise ValueError(f"{type(network).__name__} must put out one tensor")
    return output


def _tensor(output: Any) -> Tensor | None:
    """The tensor itself, or that of a geometric tensor."""
    inner = output if isinstance(output, Tensor) else getattr(output, "tensor", None)
    return inner if isinstance(inner, Tensor) else None


def _rms(values: Tensor) -> float:
    return float(values.double().square().mean().sqrt())


def _spread(outputs: Tensor) -> float:
    spread = _rms(outputs - outputs.mean(0))
    if not spread > 0:
        raise ValueError("all images have the same output, or one that is not finite: nothing can be told from it")
    return spread


def name_of(model: Any) -> str:
    """What a network is called in messages."""
    return str(getattr(model, "__name__", type(model).__name__))


def explained(model: Any, found: Measured, *, channels: int, output: str) -> str:
    """The failure in words: how far it is off, the first layer that breaks, and the sizes that would do."""
    state = f"in {found.dtype} with the weights {found.weights}"
    where = f"equivariant under {found.group} at input size {found.size} {state}"
    bound = f"rounding stays below {found.bound:.0e}"
    if found.verdict == "undecided":
        return f"{found.network} may or may not be {where}: error {found.error:.1e}, {bound}, which tells nothing"
    lines = [f"{found.network} is not {where}: error {found.error:.1e}, {bound}"]
    network = network_of(model, found.size)
    if found.weights == "changed":
        network = changed(network, found.size, channels)
    broken = first_break(network, example(found.size, channels), found.group)
    lines.append(f"  first break: {broken or 'none of the layers, only the output shows it'}")
    sizes = [size for size in _around(found.size) if _exact_at(model, size, found, channels, output)][:2]
    if sizes:
        lines.append(f"  repair: it is exact at {' and '.join(map(str, sorted(sizes)))} pixels")
    else:
        lines.append(f"  repair: none of the sizes within {REACH} pixels; the layers themselves are not equivariant")
    return "\n".join(lines)


def _around(size: int) -> Iterator[int]:
    for far in range(1, REACH + 1):
        yield size + far
        if size - far > 1:
            yield size - far


def _exact_at(model: Any, size: int, found: Measured, channels: int, output: str) -> bool:
    try:
        return all(  # the weights as given first, which tell most sizes apart
            one.verdict == "exact"
            for change in (False, True)
            for one in judge(
                model, size, found.group, channels=channels, output=output, dtypes=["float64"], change_weights=change
            )
        )
    except Exception:  # whatever a network raises at a size that it cannot take
        return False


@torch.no_grad()
def first_break(network: nn.Module, images: Tensor, group: str) -> str | None:
    """The first layer at which the norm over the channels does not turn with the image, with its sampling."""
    seen: dict[str, Tensor] = {}
    sizes: dict[str, int] = {}
    with _watched(network, seen, sizes):
        _run(network, images)
    upright, rows = dict(seen), dict(sizes)
    broken = set()
    for element in elements(group):
        seen.clear()
        with _watched(network, seen, sizes):
            _run(network, act(images, element))
        broken |= {name for name in upright if name in seen and not _same(seen[name], act(upright[name], element))}
    first = next((name for name in upright if name in broken), None)
    return None if first is None else _described(first, dict(network.named_modules())[first], rows.get(first))


def _same(maps: Tensor, expected: Tensor) -> bool:
    return maps.shape == expected.shape and _rms(maps - expected) <= SEEN * _rms(expected)


@contextmanager
def _watched(network: nn.Module, seen: dict[str, Tensor], sizes: dict[str, int]) -> Iterator[None]:
    """Keep the squared norms over the channels (batch, height, width) of every map that a leaf puts out first."""

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def keep(_: nn.Module, arguments: Any, output: Any) -> None:
            maps, given = _tensor(output), _tensor(arguments[0]) if arguments else None
            if maps is None or maps.ndim < 4 or name in seen:
                return
            seen[name] = maps.square().flatten(1, -3).sum(1)
            if given is not None and given.ndim >= 4:
                sizes[name] = given.shape[-1]

        return keep

    leaves = [(name, one) for name, one in network.named_modules() if name and not any(one.children())]
    handles = [one.register_forward_hook(hook(name)) for name, one in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _described(name: str, layer: nn.Module, rows: int | None) -> str:
    """The layer, and where its windows do not lie symmetrically, the sum that says so."""
    numbers = {key: _single(getattr(layer, key, None)) for key in ("kernel_size", "stride", "padding", "dilation")}
    kernel, stride = numbers["kernel_size"], numbers["stride"]
    if kernel is None or stride is None:
        return f"{name} ({type(layer).__name__})"
    padding, dilation = numbers["padding"] or 0, numbers["dilation"] or 1
    text = f"{name} ({type(layer).__name__}, kernel {kernel}, stride {stride}, padding {padding})"
    left = 0 if rows is None else (rows + 2 * padding - dilation * (kernel - 1) - 1) % stride
    if left:
        text += (
            f" sees {rows} rows: ({rows} + 2·{padding} − {dilation}·({kernel} − 1) − 1) mod {stride} = {left} must be 0"
        )
    return text


def _single(value: Any) -> int | None:
    """An int, or the one that all of a tuple are."""
    if isinstance(value, tuple) and value and all(one == value[0] for one in value):
        value = value[0]
    return value if isinstance(value, int) else None
