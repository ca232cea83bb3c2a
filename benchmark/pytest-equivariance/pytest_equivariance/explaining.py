"""Explains why a network is not equivariant: the first layer that breaks, and the input sizes that would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from pytest_equivariance.measuring import (
    Measured,
    act,
    changed,
    elements,
    example,
    judge,
    network_of,
    rms,
    run,
    tensor_of,
)

SEEN = 1e-6
"""A layer whose relative error is above it is broken, in float64."""
REACH = 8
"""Repairs are looked for at sizes that differ by at most so many pixels."""


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
    sizes: dict[str, tuple[int, int]] = {}
    with _watched(network, seen, sizes):
        run(network, images)
    upright, rows = dict(seen), dict(sizes)
    broken = set()
    for element in elements(group):
        seen.clear()
        with _watched(network, seen, sizes):
            run(network, act(images, element))
        broken |= {name for name in upright if name in seen and not _same(seen[name], act(upright[name], element))}
    first = next((name for name in upright if name in broken), None)
    return None if first is None else _described(first, dict(network.named_modules())[first], rows.get(first))


def _same(maps: Tensor, expected: Tensor) -> bool:
    return maps.shape == expected.shape and rms(maps - expected) <= SEEN * rms(expected)


@contextmanager
def _watched(network: nn.Module, seen: dict[str, Tensor], sizes: dict[str, tuple[int, int]]) -> Iterator[None]:
    """Keep of each leaf's first map the squared norms over the channels (batch, height, width), and rows in and out."""

    def hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def keep(_: nn.Module, arguments: Any, output: Any) -> None:
            maps, given = tensor_of(output), tensor_of(arguments[0]) if arguments else None
            if maps is None or maps.ndim < 4 or name in seen:
                return
            seen[name] = maps.abs().square().flatten(1, -3).sum(1)
            if given is not None and given.ndim >= 4:
                sizes[name] = given.shape[-2], maps.shape[-2]

        return keep

    leaves = [(name, one) for name, one in network.named_modules() if name and not any(one.children())]
    handles = [one.register_forward_hook(hook(name)) for name, one in leaves]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _described(name: str, layer: nn.Module, rows: tuple[int, int] | None) -> str:
    """The layer, and where its windows do not lie symmetrically, the sum that says so.

    The sum is that of windows that move over the input, and is said only where as many rows came out as it gives. A
    transposed convolution or an unpooling has another one.
    """
    numbers = {key: _single(getattr(layer, key, None)) for key in ("kernel_size", "stride", "padding", "dilation")}
    kernel, stride = numbers["kernel_size"], numbers["stride"]
    if kernel is None or stride is None:
        return f"{name} ({type(layer).__name__})"
    padding, dilation = numbers["padding"] or 0, numbers["dilation"] or 1
    text = f"{name} ({type(layer).__name__}, kernel {kernel}, stride {stride}, padding {padding})"
    if rows is None:
        return text
    given, made = rows
    whole, left = divmod(given + 2 * padding - dilation * (kernel - 1) - 1, stride)
    if left and made in (whole + 1, whole + 2):  # one more with `ceil_mode`
        text += (
            f" sees {given} rows: ({given} + 2·{padding} − {dilation}·({kernel} − 1) − 1) mod {stride} = {left} "
            "must be 0"
        )
    return text


def _single(value: Any) -> int | None:
    """An int, or the one that all of a tuple are."""
    if isinstance(value, tuple) and value and all(one == value[0] for one in value):
        value = value[0]
    return value if isinstance(value, int) else None
