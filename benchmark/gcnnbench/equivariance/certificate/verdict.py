"""The certificate: what can be said of a network at one input size without measuring it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor, nn

from gcnnbench.equivariance.certificate.axes import Dimensions, fit, pixels, pure_axis
from gcnnbench.equivariance.certificate.grid import Sampling
from gcnnbench.equivariance.certificate.handlers import HANDLERS
from gcnnbench.equivariance.certificate.known import known_rule, own_field, turns_or_mirrors
from gcnnbench.equivariance.certificate.lattice import Lattices, off_centre
from gcnnbench.equivariance.certificate.modules import start, watched
from gcnnbench.equivariance.certificate.operations import otherwise, pointwise
from gcnnbench.equivariance.certificate.reductions import framed
from gcnnbench.equivariance.certificate.tracing import Tracer
from gcnnbench.equivariance.certificate.tracked import Finding, Obstacle, Tracked, UnknownAction
from gcnnbench.equivariance.depths import observed, output_tensor
from gcnnbench.equivariance.precision import dtype_of, evaluating
from gcnnbench.equivariance.results import CertificateVerdict, GridVerdict
from gcnnbench.nn.fields import Field, Invariant, ScalarField
from gcnnbench.nn.groups import Element

OTHER_AXES = "the output's pixels are not its last two axes, which are what its field turns: permute its axes"


@dataclass(frozen=True)
class Certificate:
    """What one forward pass at one size shows.

    Args:
        samplings: every operation that samples pixels and that the output depends on, in order.
        grid: whether all of them sample symmetrically for the group.
        verdict: whether the network is known to be exact, known not to be, or neither.
        first_break: the first sampling that breaks the symmetry.
        reasons: what is wrong or not known, one sentence each.
        fan_in: the longest chain of additions that one output entry can go through, summed over the layers.
        changes_input: the first operation that writes into the network's input, or None.
        gives_map: whether the output has several pixels; where that is not known, four axes, the last two of several
            entries.
    """

    samplings: tuple[Sampling, ...]
    grid: GridVerdict
    verdict: CertificateVerdict
    first_break: Sampling | None
    reasons: tuple[str, ...]
    fan_in: int
    changes_input: str | None = None
    gives_map: bool = False


def certify(
    network: nn.Module, images: Tensor, elements: Sequence[Element], output: Field | None = None
) -> Certificate:
    """Watch one forward pass and judge its grid and its operations.

    Args:
        network: runs in evaluation mode in its own arithmetic and is left as it was.
        images: at least two inputs (batch, channels, height, width); only their shape should matter.
        elements: the group's elements.
        output: how the output should transform; invariant logits where None.

    Raises:
        Exception: whatever the network raises at this input size.
    """
    turns, shifts = any(map(turns_or_mirrors, elements)), any(element.shifts for element in elements)
    tracer = Tracer(HANDLERS, pointwise, otherwise, turns=turns, shifts=shifts)
    fields = own_field if turns else lambda _, state: state.field
    with evaluating(network), watched(network, tracer, partial(known_rule, elements=elements), fields), tracer:
        start(tracer, images)
        result = output_tensor(network(images))
    state = tracer.state(result) or Tracked(None, None)
    judged = _judge(tracer, state, elements, output or Invariant())
    return replace(judged, gives_map=_gives_map(state, result))


def lattices_of(network: nn.Module, images: Tensor, names: Sequence[str]) -> dict[str, Lattices]:
    """Where the pixels of these layers' outputs lie over the image; layers whose pixels are lost are left out.

    Args:
        network: runs in evaluation mode in its own arithmetic and is left as it was.
        images: (batch, channels, height, width); only their shape matters.
        names: of layers; a layer that runs again is `name#2`, as in `observed`.
    """
    found: dict[str, Lattices] = {}

    def see(name: str, output: Tensor, field: Field) -> None:  # noqa: ARG001
        state = tracer.state(output)
        if state is not None and state.dimensions is not None and pixels(state.dimensions):
            found[name] = state.framed_lattices()

    shown = images[:2].to(dtype_of(network, images), copy=True)
    with evaluating(network), image_tracer(network, shown) as tracer, observed(network, tuple(names), see):
        network(shown)
    return found


@contextmanager
def image_tracer(network: nn.Module, images: Tensor) -> Iterator[Tracer]:
    """A tracer that follows these images while the network runs on them, whatever its group."""
    tracer = Tracer(HANDLERS, pointwise, otherwise)
    with watched(network, tracer, partial(known_rule, elements=()), own_field), tracer:
        start(tracer, images)
        yield tracer


def _judge(tracer: Tracer, state: Tracked, elements: Sequence[Element], output: Field) -> Certificate:
    notes = tracer.notes
    if state.dimensions is not None:
        state = framed(tracer, state)
    past = state.past | notes.always
    findings: list[Finding] = [finding for place, finding in enumerate(notes.findings) if past >> place & 1]
    samplings = tuple(finding for finding in findings if isinstance(finding, Sampling))
    obstacles = [str(finding) for finding in findings if isinstance(finding, Obstacle)]
    unknown = [str(finding) for finding in findings if isinstance(finding, UnknownAction)]
    points = [element.point for element in elements]
    broken = next((sampling for sampling in samplings if sampling.breaks(points)), None)
    torn = next((sampling for sampling in samplings if sampling.breaks(elements)), None)

    def result(
        grid: GridVerdict, verdict: CertificateVerdict, reasons: Sequence[str], first: Sampling | None = None
    ) -> Certificate:
        return Certificate(samplings, grid, verdict, first, tuple(reasons), max(1, notes.fan_in), notes.changes_input)

    open_ones = [f"{sampling}: it works along one axis" for sampling in samplings if sampling.breaks(elements) is None]
    if broken is not None:
        doubt = state.restorable or (obstacles[0] if obstacles else None)
        if doubt is None and not off_centre(state.lattices, points):
            doubt = "in the end the features lie about the centre of the image"
        if doubt is None:
            return result("broken", "approximate", [f"{broken}: the grid is not symmetric"], broken)
        return result("broken", "unknown", [f"{broken}: the grid is not symmetric, but {doubt}"], broken)
    if torn is not None:
        return result("broken", "unknown", [f"{torn}: a circular shift by one pixel does not go with it"], torn)
    if obstacles or open_ones or state.dimensions is None:
        nothing = ["the output does not depend on the image in a way that can be followed"]
        return result("unknown", "unknown", [*obstacles, *open_ones] or nothing)
    spatial = bool(pixels(state.dimensions))
    fits = state.field == (ScalarField() if isinstance(output, Invariant) or not tracer.turns else output)
    if not unknown and (not fits or spatial == isinstance(output, Invariant)):
        unknown = [f"the output is {'features' if spatial else 'a vector'} with the field {state.field}, not {output}"]
    if not unknown and spatial and not _as_an_image(state.dimensions):
        unknown = [OTHER_AXES]
    if not unknown and spatial and state.chosen:
        unknown = ["the output lies on a grid that was chosen by the features, and is known up to a shift"]
    if not unknown and spatial and tracer.shifts and not _as_large(tracer, state):
        unknown = ["the output has other pixels than the image, and how a shift moves them is not known"]
    if not unknown and state.half and any(element.turns % 2 for element in elements):
        unknown = [f"the output was reduced along one axis of the image only ({state.half})"]
    if unknown:
        return result("symmetric", "unknown", unknown)
    return result("symmetric", "exact", [])


def _gives_map(state: Tracked, output: Tensor) -> bool:
    if state.dimensions is None:
        return output.dim() == 4 and min(output.shape[-2:]) > 1
    return any(factor.axis and factor.size > 1 for dimension in state.dimensions for factor in dimension)


def _as_an_image(dimensions: Dimensions) -> bool:
    """Whether the last two dimensions run over rows and columns, or have one entry, and no other runs over pixels."""
    axes = [*[""] * (len(dimensions) - 2), "y", "x"]
    return len(dimensions) > 1 and all(
        pure_axis(dimension) == axis or fit([dimension], [1]) for dimension, axis in zip(dimensions, axes, strict=True)
    )


def _as_large(tracer: Tracer, state: Tracked) -> bool:
    """Whether the pixels of this tensor are as many as the image's, along rows and columns."""
    size = [factor for dimension in state.dimensions or () for factor in dimension if factor.axis]
    shape = () if tracer.image is None else tracer.image.shape[-2:]
    return [factor.size for factor in size] == list(shape)


def example(channels: int, size: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Two inputs (2, channels, size, size) of noise to watch a network with."""
    generator = torch.Generator().manual_seed(size)
    return torch.rand(2, channels, size, size, generator=generator).to(device, dtype)
