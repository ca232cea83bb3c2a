"""Measures the equivariance error of an exact network in float64, float32, TF32, bfloat16, compiled and exported.

**The bound.** What rounding may do grows with the unit roundoff u of the arithmetic; the decision's bound in float64
is scaled by u / 2⁻⁵³. An error below it is rounding, one above it is not. Where the scaled bound reaches 1,
rounding may be as large as the output itself, and only the error and the distance to float64 are told.
"""

from __future__ import annotations

import io
import logging
import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from gcnnbench.equivariance.depths import output_tensor
from gcnnbench.equivariance.deviations import judgeable, rms
from gcnnbench.equivariance.precision import device_of, evaluating, forward, in_arithmetic, tensors
from gcnnbench.float32_precision import FULL, TF32, float32_precision
from gcnnbench.foreign_code import REFUSALS
from gcnnbench.nn.fields import Field
from gcnnbench.nn.groups import ActingGroup, Element
from gcnnbench.outside_text import as_line

Survival = Literal["exact", "broken", "unknown", "not run"]
Run = Callable[[Tensor], Tensor]

ROUNDOFF: Mapping[str, float] = {
    "float64": 2.0**-53,
    "float32": 2.0**-24,
    "TF32": 2.0**-11,
    "bfloat16": 2.0**-8,
    "torch.compile": 2.0**-24,
    "torch.export": 2.0**-24,
    "channels_last": 2.0**-24,
}
"""The arithmetics and forms by name, with the unit roundoff of their products; the last three are in float32."""


@dataclass(frozen=True)
class Arithmetic:
    """The output's error in one arithmetic.

    Args:
        name: as in `ROUNDOFF`.
        survival: *exact* where the error is rounding, *broken* where it is not, *unknown* where rounding may
            be as large as the output.
        error: the largest `rms(g f(x) − f(g x)) / rms(f(x) − mean_x f(x))` over the elements g.
        bound: what rounding stays below; None where nothing bounds it.
        distance: of the output from that in float64, relative to the same scale.
        reason: why it was not run, or nothing can be told from its output.
    """

    name: str
    survival: Survival
    error: float | None = None
    bound: float | None = None
    distance: float | None = None
    reason: str | None = None


def arithmetics(
    network: nn.Module,
    images: Tensor,
    group: ActingGroup,
    output: Field,
    bound: float,
    names: tuple[str, ...] = (*ROUNDOFF,),
) -> tuple[Arithmetic, ...]:
    """The output's error in each arithmetic and form; the network is left as it was.

    Args:
        network: exact at the size of these images.
        images: real images (images, channels, size, size).
        group: the group it is exact under.
        output: how the output transforms.
        bound: what rounding stays below in float64, as the decision has it.
        names: which of `ROUNDOFF` are measured.
    """
    device = device_of(network, images)
    wide = images.to(device, torch.float64)
    with evaluating(network):
        swapped = tensors(network, torch.float64)
        reference = output_tensor(forward(network, swapped, wide))
    scale = rms(reference - reference.mean(0))
    found = []
    for name in names:
        precision = float32_precision(TF32 if name == "TF32" else FULL)
        try:
            with _silence(), torch.no_grad(), precision, _runner(network, wide, name) as run:
                found.append(_measured(name, run, wide, group, output, reference, scale, bound))
        except (*REFUSALS, OSError, ImportError) as error:
            found.append(Arithmetic(name, "not run", reason=as_line(f"{type(error).__name__}: {error}", 200)))
    return tuple(found)


def _measured(
    name: str,
    run: Run,
    images: Tensor,
    group: ActingGroup,
    output: Field,
    reference: Tensor,
    scale: float,
    bound: float,
) -> Arithmetic:
    upright = judgeable(run(images)).double()
    moving = [element for element in group.elements if element != Element()]
    differences = [output.act(upright, g) - judgeable(run(g.act(images))).double() for g in moving]
    error = max(map(rms, differences)) / scale
    distance = rms(upright - reference) / scale
    limit = bound * ROUNDOFF[name] / ROUNDOFF["float64"]
    survival: Survival = "unknown" if limit >= 1 and error > 0 else "exact" if error <= limit else "broken"
    return Arithmetic(name, survival, error, limit if math.isfinite(limit) else None, distance)


@contextmanager
def _runner(network: nn.Module, images: Tensor, name: str) -> Iterator[Run]:
    """What runs the network on float64 images in this arithmetic or form."""
    if name == "float64":
        with evaluating(network):
            swapped = tensors(network, torch.float64)
            yield lambda x: output_tensor(forward(network, swapped, x))
        return
    dtype = torch.bfloat16 if name == "bfloat16" else torch.float32
    copied = in_arithmetic(network, dtype)
    copied.eval()
    if name == "TF32":
        if not torch.cuda.is_available():
            raise RuntimeError("TF32 is the arithmetic of CUDA devices, and there is none here")
        copied.to("cuda")
        yield lambda x: output_tensor(copied(x.to("cuda", dtype))).to(images.device)
        return
    form: Callable[[Tensor], object] = copied
    if name == "torch.compile":
        # With gradients: without them torch 2.12's compiler cannot lower a convolution of filters just gathered.
        compiled = torch.compile(copied, dynamic=False)
        with torch.enable_grad():
            yield lambda x: output_tensor(compiled(x.to(dtype))).detach()
        torch.compiler.reset()
        return
    if name == "torch.export":
        form = torch.export.export(copied, (images.to(dtype),)).module()
    elif name == "channels_last":
        for parameter in copied.parameters():
            if parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if name == "channels_last" else torch.contiguous_format
    yield lambda x: output_tensor(form(x.to(dtype, memory_format=layout)))


@contextmanager
def _silence() -> Iterator[None]:
    """Compiling and exporting tell their troubles in pages of graphs; what matters of them is the reason in a row."""
    before, heard = logging.root.manager.disable, io.StringIO()
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings(), redirect_stderr(heard), redirect_stdout(heard):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
