"""The audit of any network over input sizes: one row a size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from operator import index

from gcnnbench.equivariance.channels import find_channels
from gcnnbench.equivariance.factories import Model, factory, name_of
from gcnnbench.equivariance.nearby import Nearby
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.size_audit import Images, SizeAudit, audit_size
from gcnnbench.errors import UserError
from gcnnbench.nn.fields import Field
from gcnnbench.nn.groups import P4, ActingGroup
from gcnnbench.nn.groups import group as group_of_name


@dataclass(frozen=True)
class Audit:
    """A network over input sizes, under one group.

    Args:
        network: its name.
        acting_group: the group.
        sizes: a row for each.
        nearby: the sizes near these, which are looked at when they are asked for.
        claims: the sizes at which it is said to be exact.
    """

    network: str
    acting_group: ActingGroup
    sizes: tuple[SizeAudit, ...]
    nearby: Nearby = field(repr=False, compare=False)
    claims: tuple[int, ...] = ()

    @property
    def channels(self) -> int:
        """Of its input."""
        return self.nearby.channels

    @property
    def group(self) -> str:
        """The group's name."""
        return self.acting_group.name

    def document(self) -> dict[str, object]:
        """The JSON document."""
        return {"network": self.network, "group": self.group, "sizes": [row.document() for row in self.sizes]}

    @property
    def failures(self) -> tuple[str, ...]:
        """Claims that do not hold, and sizes at which certificate and decision contradict each other."""
        found = [f"{row.size}: {row.reason}" for row in self.sizes if row.disagreement]
        found += [
            f"{row.size}: claimed to be exact, but {row.decision}: {row.reason}"
            for row in self.sizes
            if row.size in self.claims and row.decision != "exact" and not row.disagreement
        ]
        return tuple(found)


def audit(
    model: Model,
    sizes: Iterable[int],
    group: ActingGroup | str = P4,
    *,
    channels: int | None = None,
    output: Field | None = None,
    images: Images = sample_images,
    name: str | None = None,
    claims: Iterable[int] = (),
    claims_trivial: bool = False,
    nearest: bool = False,
) -> Audit:
    """Judge a network at each of these input sizes.

    Args:
        model: a network that takes all sizes, or a class or function that makes one (`factories.factory`).
        sizes: heights and widths of square inputs.
        group: a subgroup of p4m, or circular shifts; or its name.
        channels: of the input; tried out (3, 1, 2, 4) where None.
        output: how the output should transform; invariant logits where None.
        images: makes real images; digits where not given.
        name: of the network, for tables.
        claims: sizes at which it is said to be exact.
        claims_trivial: whether it claims no symmetry at all.
        nearest: whether to look for the nearest sizes at which it is exact, where the grid is broken.

    Raises:
        UserError: it cannot be made at any of the sizes, no number of channels fits, or an argument is wrong.
        ControlError: a control network fell on the wrong side.
    """
    wanted, called = _sizes(sizes), name or name_of(model)
    if output is not None and not isinstance(output, Field):
        raise UserError(f"output (={output!r}) must be a field of gcnnbench.nn.fields, as ScalarField()")
    group = group_of_name(group) if isinstance(group, str) else group
    make = factory(model, name=called)
    channels = find_channels(make, wanted, called, channels)
    group = group if len(group) > 1 else P4
    rows = [audit_size(make, size, group, channels, output, images, claims_trivial) for size in wanted]
    nearby = Nearby(make, group, channels, output, images, {row.size: row for row in rows})
    if nearest:
        rows = [replace(row, nearest=nearby.nearest(row)) for row in rows]
    return Audit(called, group, tuple(rows), nearby, tuple(claims))


def _sizes(given: Iterable[int]) -> tuple[int, ...]:
    """The input sizes, at least one; a user's mistake where these are none."""
    try:
        sizes = tuple(map(index, given))
    except TypeError:
        sizes = ()
    if min(sizes, default=0) < 1:
        raise UserError(
            f"sizes (={given!r}) must be at least one input size, a whole number, as in [32] or range(24, 41)"
        )
    return sizes
