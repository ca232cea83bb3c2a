"""How far a network is from equivariant, element by element and layer by layer, in one arithmetic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gcnnbench.equivariance.depths import See, known_layers, observed, output_tensor
from gcnnbench.equivariance.precision import State, evaluating, forward, stated
from gcnnbench.equivariance.restoring import generator_states
from gcnnbench.foreign_code import said
from gcnnbench.nn.fields import Field, known_action
from gcnnbench.nn.groups import Element

OUTPUT = "output"
NUDGES = (2.0**-20, 2.0**-40)
SATURATED = 2.0**-4
"""A relative change of the output from which on a nudge is too large to tell how small ones grow."""
RANDOM = "the network draws random numbers in evaluation mode: the same images do not give the same output"
ALIKE = "the output is the same for all images, so nothing can be told from it"
OUT_OF_ORDER = "images in another order do not give the outputs in that order: earlier calls or other images count"
ONE_PIXEL = "no element moves its one pixel"
COMPLEX = "the output is complex; put out its real and imaginary part as channels"


class UnjudgedError(ArithmeticError):
    """Nothing can be told from this output; the message says why."""


@dataclass(frozen=True)
class Deviation:
    """The relative error `rms(g f(x) − f(g x)) / scale` of one layer under one element.

    Args:
        layer: its name, or `output`.
        element: the element's name.
        error: infinite where the shapes of `g f(x)` and `f(g x)` differ, or `f(g x)` alone is not finite.
        condition: how much a relative error made before this layer can have grown in it, at least one.
    """

    layer: str
    element: str
    error: float
    condition: float


@dataclass
class _Scale:
    upright: Tensor
    size: float
    condition: float = 1.0
    change: float = 0.0


def deviations(
    network: nn.Module,
    state: State,
    images: Tensor,
    elements: Sequence[Element],
    output: Field,
    batches: Sequence[int] | None = None,
) -> list[Deviation]:
    """The errors of a state at every layer whose action is known and at the output, in the order in which they run.

    The scale of a layer is `rms f(x)`, that of the output `rms(f(x) − mean_x f(x))`, so that a constant added to the
    logits hides nothing. The condition of a layer is measured: the images are changed by random relative 2⁻²⁰, and
    the relative change of the layer over 2⁻²⁰ is taken; at the output it is at least `rms f / scale`. Where that
    changes the output altogether, 2⁻⁴⁰ is tried, and where that does, too, the condition is infinite. Layers whose
    scale is zero or not finite have no error and are left out, and so are all where the images are shown in batches.

    Raises:
        UnjudgedError: the images have one pixel, or the output is not finite, the same for all, or another each time.
    """
    if images.shape[-2:] == (1, 1):
        raise UnjudgedError(ONE_PIXEL)
    names = () if batches else known_layers(network)
    parts = list(batches or [len(images)])
    scales: dict[str, _Scale] = {}
    found: list[Deviation] = []

    def keep(name: str, features: Tensor, field: Field) -> None:  # noqa: ARG001
        size = rms(features)
        if 0 < size < float("inf"):
            scales[name] = _Scale(features.clone(), size)

    def same(name: str, features: Tensor, field: Field) -> None:  # noqa: ARG001
        if name == OUTPUT and not torch.equal(features, scales[OUTPUT].upright):
            raise UnjudgedError(RANDOM)

    def condition(name: str, features: Tensor, field: Field) -> None:  # noqa: ARG001
        if name in scales:
            here = scales[name]
            change = _apart(here.upright, features) / here.size
            here.change, here.condition = change, max(here.condition, change / nudged)

    def compare(g: Element) -> See:
        def see(name: str, features: Tensor, field: Field) -> None:
            if name in scales and known_action(field, g, features, images.shape[-2:]):
                here = scales[name]
                error = _apart(_acted(name, field, here.upright, g), features) / here.size
                found.append(Deviation(name, g.name, error, here.condition))

        return see

    def run(inputs: Tensor, see: See) -> None:
        with observed(network, names, see):
            result = torch.cat([output_tensor(forward(network, swapped, part)) for part in inputs.split(parts)])
        see(OUTPUT, judgeable(result), output)

    with evaluating(network):
        swapped = stated(network, state, images)
        numbers = generator_states(network)
        run(images, keep)
        if OUTPUT not in scales:
            raise UnjudgedError(ALIKE)
        here = scales[OUTPUT]
        if generator_states(network) != numbers:
            run(images, same)
        spread = spread_of(here.upright)
        scales[OUTPUT] = _Scale(here.upright, spread, here.size / spread)
        noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(images)
        for nudged in NUDGES:
            run(images * (1 + noise * nudged), condition)
            if scales[OUTPUT].change < SATURATED:
                break
        else:
            scales[OUTPUT].condition = float("inf")
        for g in elements:
            if g != Element():
                run(g.act(images), compare(g))
    return found


def _acted(name: str, field: Field, features: Tensor, element: Element) -> Tensor:
    """The features of a layer or of the output as the field has them transform.

    Raises:
        UnjudgedError: the output has not the dimensions or the channels of such a field.
    """
    try:
        return field.act(features, element)
    except (RuntimeError, IndexError) as error:
        if name != OUTPUT:
            raise
        shape = " × ".join(map(str, features.shape[1:])) or "one number"
        raise UnjudgedError(f"an output of {shape} an image is no {type(field).__name__}: {said(error)}") from None


def judgeable(output: Tensor) -> Tensor:
    """The output itself.

    Raises:
        UnjudgedError: it holds something else than finite real numbers.
    """
    if output.is_complex():
        raise UnjudgedError(COMPLEX)
    if not output.is_floating_point():
        raise UnjudgedError(f"the output is {output.dtype}, not floating point; put out the scores behind it")
    if not output.isfinite().all():
        raise UnjudgedError("the output is not finite")
    return output


def spread_of(output: Tensor) -> float:
    """`rms(f(x) − mean_x f(x))` of the outputs (images, …).

    Raises:
        UnjudgedError: there is none beside rounding.
    """
    spread = rms(output - output.mean(0))
    if spread <= 1e-12 * rms(output):
        raise UnjudgedError(ALIKE)
    return spread


def rms(values: Tensor) -> float:
    """The root of the mean square of real or complex numbers."""
    return float(values.abs().square().mean().sqrt())


def _apart(expected: Tensor, features: Tensor) -> float:
    """The root of the mean square of their difference; infinite where shapes differ or the features are not finite."""
    same = expected.shape == features.shape and bool(features.isfinite().all())
    return rms(expected - features) if same else float("inf")


def keeps_the_order(network: nn.Module, state: State, images: Tensor) -> bool:
    """Whether images in reverse order give the outputs in reverse order, up to rounding.

    A network that answers from what it kept of earlier calls, or that looks at the first image of a batch, does not: it
    is no function of the image, and the same for moved images may mean nothing.
    """
    with evaluating(network):
        swapped = stated(network, state, images)
        first, second = (output_tensor(forward(network, swapped, shown)) for shown in (images, images.flip(0)))
    if first.shape != second.shape or len(first) != len(images):
        return True
    return rms(first - second.flip(0)) < SATURATED * rms(first - first.mean(0))
