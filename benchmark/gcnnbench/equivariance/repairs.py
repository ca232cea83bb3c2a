"""What would make a network exact at a size: each repair is tried by the audit on the spot, and has its cost."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from gcnnbench.equivariance.certificate.verdict import Certificate
from gcnnbench.equivariance.exactness import watch
from gcnnbench.equivariance.factories import Factory
from gcnnbench.equivariance.macs import macs
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.size_audit import SizeAudit, audit_size
from gcnnbench.equivariance.windows import equivariantly_subsampled, even, window_of, with_window
from gcnnbench.foreign_code import REFUSALS
from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.fields import Field
from gcnnbench.nn.groups import ActingGroup, ShiftGroup

ROUNDS = 8
"""A changed layer gives the next one another size, which may break it in turn."""


@dataclass(frozen=True)
class Repair:
    """A change after which the network is measured exact at the size.

    Args:
        what: the change in words.
        code: the change in code.
        macs: multiply-accumulates of one image after it.
        before: and without it.
        error: at the output, the largest of both states.
    """

    what: str
    code: tuple[str, ...]
    macs: int
    before: int
    error: float | None

    def __str__(self) -> str:
        ratio = f"{self.macs / self.before:.2f} × the MACs" if self.before else "no MACs"
        error = "" if self.error is None else f", error {self.error:.0e}"
        return f"{self.what} ({ratio}: {self.macs / 1e6:,.1f} M instead of {self.before / 1e6:,.1f} M{error})"


@dataclass(frozen=True)
class _Case:
    """A network that is not exact at a size, and how it is audited."""

    make: Factory
    row: SizeAudit
    group: ActingGroup
    channels: int
    output: Field | None

    def tried(self, what: str, code: list[str], network: nn.Module) -> Repair | None:
        """The repair, if the audit finds the changed network exact at this size."""
        found = audit_size(lambda _: network, self.row.size, self.group, self.channels, self.output)
        if found.decision != "exact" or found.disagreement:
            return None
        return Repair(what, tuple(code), self.macs(network), self.macs(self.make(self.row.size)), found.error)

    def macs(self, network: nn.Module) -> int:
        """Multiply-accumulates of one image of this size."""
        return macs(network, sample_images(1, self.channels, self.row.size))

    def certificate(self, network: nn.Module) -> Certificate:
        """Of a changed network at this size."""
        return watch(network, sample_images(2, self.channels, self.row.size), self.group.elements, self.output)


def repairs(
    make: Factory,
    row: SizeAudit,
    group: ActingGroup,
    channels: int,
    *,
    output: Field | None = None,
) -> list[Repair]:
    """The changes that make a network exact at a size where its sampling breaks it, or may do so.

    Tried are: padding or resizing the images to the nearest exact sizes; kernels larger by one in the layers that
    break, which reach as far on both sides of sizes of the other parity; a first layer whose kernel has another parity;
    and equivariant sub-sampling in place of the strides that break.

    Args:
        make: the network for a size.
        row: of its audit, with the nearest exact sizes.
        group: under which it is to be exact.
        channels: of its input.
        output: how its output should transform.
    """
    if row.seen is None or row.grid == "symmetric" or row.decision != "approximate":
        return []
    case = _Case(make, row, group, channels, output)
    found = (
        attempt for way in (_other_sizes, _even_kernels, _other_stem, _subsampling) for attempt in _safe(way, case)
    )
    return [repair for repair in found if repair is not None]


def _safe(way: Callable[[_Case], Iterator[Repair | None]], case: _Case) -> Iterator[Repair | None]:
    """What a way finds; a network that cannot be changed so is passed over."""
    try:
        yield from way(case)
    except REFUSALS:
        return


class Resized(nn.Module):
    """A network on images that are first resized or padded to its size."""

    def __init__(self, network: nn.Module, size: int, *, pad: bool) -> None:
        super().__init__()
        self.network, self.size, self.pad = network, size, pad

    def forward(self, images: Tensor) -> Any:
        """(batch, channels, height, width) -> what the network puts out."""
        if self.pad:
            return self.network(F.pad(images, ((self.size - images.shape[-1]) // 2,) * 4))
        size = (self.size, self.size)
        return self.network(F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True))


def _other_sizes(case: _Case) -> Iterator[Repair | None]:
    here = case.row.size
    for size in case.row.nearest:
        border, odd = divmod(size - here, 2)
        if not odd:
            what = f"{'pad' if border > 0 else 'crop'} the images to {size}"
            yield case.tried(
                what, [f"images = F.pad(images, ({border},) * 4)"], Resized(case.make(size), size, pad=True)
            )
        what = f"resize the images to {size}"
        code = f'images = F.interpolate(images, ({size}, {size}), mode="bilinear", antialias=True)'
        yield case.tried(what, [code], Resized(case.make(size), size, pad=False))


def _even_kernels(case: _Case) -> Iterator[Repair | None]:
    changed = _mended(case, even)
    if changed is not None:
        yield case.tried("kernels larger by one, as 2×2 for 1×1, in the layers that break", changed[1], changed[0])


def _subsampling(case: _Case) -> Iterator[Repair | None]:
    shifts = isinstance(case.group, ShiftGroup)
    changed = _mended(case, partial(equivariantly_subsampled, shifts=shifts))
    if changed is not None:
        what = "adaptive polyphase " if shifts else "equivariant sub-"
        yield case.tried(f"{what}sampling in the layers that break", changed[1], changed[0])


def _other_stem(case: _Case) -> Iterator[Repair | None]:
    network = case.make(case.row.size)
    stem = next((name for name, one in network.named_modules() if isinstance(one, (nn.Conv2d, GroupConv))), None)
    if stem is None:
        return
    layer = network.get_submodule(stem)
    window = window_of(layer)
    if window is None or window[1] != 1:
        return
    kernel, _, padding = window
    for other, border in ((kernel - 1, padding), (kernel - 1, 0), (kernel, 0), (kernel + 1, padding)):
        if other < 1:
            continue
        changed = copy.deepcopy(network)
        _replace(changed, stem, with_window(layer, other, 1, border))
        try:
            symmetric = case.certificate(changed).grid == "symmetric"
        except REFUSALS:
            continue
        if symmetric:
            what = f"a {'valid ' if not border else ''}stem of {other}×{other}"
            found = case.tried(what, [f"{stem}: kernel_size={other}, padding={border}"], changed)
            if found is not None:
                yield found
                return


def _mended(
    case: _Case, change: Callable[[nn.Module], tuple[nn.Module, str] | None]
) -> tuple[nn.Module, list[str]] | None:
    """A copy whose breaking layers are changed, one after the other until none breaks, and the changes in code.

    Returns:
        (network, lines), or None where a layer that breaks cannot be changed.
    """
    network = copy.deepcopy(case.make(case.row.size))
    lines: dict[str, str] = {}
    for _ in range(ROUNDS):
        seen = case.certificate(network)
        broken = [one.layer.partition(":")[0] for one in seen.samplings if one.breaks(case.group.elements)]
        if not broken:
            return network, list(lines.values())
        for name in dict.fromkeys(broken):
            changed = change(network.get_submodule(name))
            if changed is None:
                return None
            _replace(network, name, changed[0])
            lines[name] = f"{name} = {changed[1]}"
    return None


def _replace(network: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, last = name.rpartition(".")
    setattr(network.get_submodule(parent), last, layer)
