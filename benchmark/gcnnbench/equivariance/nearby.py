"""The input sizes near another one: at which of them a network is exact.

A size whose sampling is known to be broken is passed over. A layer that treats pixels differently, as a linear layer
behind `Flatten` does, breaks nothing where a single pixel is left before it. So a size is passed over, too, where an
operation leaves one pixel there and several here, or fewer operations run; and where it is not known what operations
leave, only larger sizes count, and smaller ones beside a larger one that is exact.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gcnnbench.equivariance.certificate.grid import Sampling
from gcnnbench.equivariance.certificate.verdict import Certificate
from gcnnbench.equivariance.deviations import OUTPUT, UnjudgedError, deviations
from gcnnbench.equivariance.exactness import watch
from gcnnbench.equivariance.factories import Factory
from gcnnbench.equivariance.judgement import IN_DOUBT
from gcnnbench.equivariance.precision import float64_device, tensors
from gcnnbench.equivariance.results import GridVerdict
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.size_audit import Images, SizeAudit, audit_size
from gcnnbench.foreign_code import REFUSALS
from gcnnbench.nn.fields import Field, Invariant
from gcnnbench.nn.groups import ActingGroup, Element

REACH = 33
"""How far from a size another one is looked for."""
TRIES: dict[GridVerdict, int] = {"symmetric": 2, "unknown": 16}
"""At how many of the nearest sizes with such sampling a network is looked at."""


@dataclass
class Nearby:
    """The sizes near those of an audit; each is looked at once.

    Args:
        make: the network for a size.
        group: under which it is judged.
        channels: of its input.
        output: how the output should transform; invariant logits where None.
        images: makes the images.
        known: what is known already, by size; None of one that was passed over.
    """

    make: Factory
    group: ActingGroup
    channels: int
    output: Field | None = None
    images: Images = sample_images
    known: dict[int, SizeAudit | None] = field(default_factory=dict)

    @property
    def exact_sizes(self) -> tuple[int, ...]:
        """The sizes that were looked at and at which the network is measured exact."""
        return tuple(size for size, row in sorted(self.known.items()) if row is not None and row.decision == "exact")

    def nearest(self, row: SizeAudit) -> tuple[int, ...]:
        """The nearest sizes at which it is measured exact: this one, or the next below and the next above it."""
        if row.decision == "exact":
            return (row.size,)
        if row.seen is None or row.grid == "symmetric":
            return ()
        below, above = range(row.size - 1, max(1, row.size - 1 - REACH), -1), range(row.size + 1, row.size + 1 + REACH)
        larger = self._exact_of(row, above, smallest=row.size)
        return (*self._exact_of(row, below, smallest=1 if larger else row.size), *larger)

    def _exact_of(self, row: SizeAudit, sizes: Iterable[int], smallest: int) -> tuple[int, ...]:
        last = self.looked_at(row, sizes, smallest)[-1:]
        return tuple(other.size for other in last if other.decision == "exact")

    def looked_at(self, row: SizeAudit, sizes: Iterable[int], smallest: int | None = None) -> list[SizeAudit]:
        """Rows of other sizes up to the first exact one, or until `TRIES` of them were looked at.

        Args:
            row: the size in question, with its certificate.
            sizes: the others, in the order in which they are looked at.
            smallest: below it a size counts only where its sampling is known; this size where None.
        """
        found: list[SizeAudit] = []
        tried = Counter[GridVerdict]()
        for size in sizes:
            other = self._at(size)
            if other is None or other.seen is None or row.seen is None or _does_less(other.seen, row.seen):
                continue
            if other.grid == "unknown" and size < (row.size if smallest is None else smallest):
                continue
            found.append(other)
            tried[other.grid] += 1
            if other.decision == "exact" or tried[other.grid] == TRIES[other.grid]:
                break
        return found

    def _at(self, size: int) -> SizeAudit | None:
        """The row of a size; None where the network cannot take it or its sampling is broken."""
        if size not in self.known:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a size that nobody asked for
                self.known[size] = self._audited(size)
        other = self.known[size]
        return None if other is None or other.grid == "broken" or other.decision == "inapplicable" else other

    def _audited(self, size: int) -> SizeAudit | None:
        try:
            shown = self.images(2, self.channels, size)
            network = self.make(size)
            seen = watch(network, shown, self.group.elements, self.output, size)
        except REFUSALS:
            return None
        if seen.grid == "broken":
            return None
        if self._plainly_broken(network, shown):
            return SizeAudit(size, seen.grid, seen.verdict, decision="approximate", seen=seen)
        return audit_size(self.make, size, self.group, self.channels, self.output, self.images)

    def _plainly_broken(self, network: nn.Module, images: Tensor) -> bool:
        """Whether one element and two images show that it is not exact beyond doubt: most sizes need no more."""
        shown = images.to(float64_device(network, images), torch.float64)
        first = next(element for element in self.group.elements if element != Element())
        try:
            found = deviations(network, tensors, shown, [first], self.output or Invariant())
        except (UnjudgedError, *REFUSALS):
            return False
        return any(one.layer == OUTPUT and one.error > IN_DOUBT for one in found)


def around(size: int) -> Iterator[int]:
    """Other sizes, the nearest first."""
    for far in range(1, REACH + 1):
        yield size + far
        if size - far > 1:  # no element moves the one pixel of the smallest image
            yield size - far


def by_call(certificate: Certificate) -> dict[tuple[str, int], Sampling]:
    """The samplings by layer and by which of its calls they are: a layer that runs twice, functions of one module."""
    calls: Counter[str] = Counter()
    found = {}
    for sampling in certificate.samplings:
        calls[sampling.layer] += 1
        found[sampling.layer, calls[sampling.layer]] = sampling
    return found


def _does_less(there: Certificate, here: Certificate) -> bool:
    """Whether fewer operations sample there than here, or one of them leaves a single pixel there and several here."""
    counterparts = by_call(there)
    return len(there.samplings) < len(here.samplings) or any(
        _pixels(sampling) > 1 and call in counterparts and _pixels(counterparts[call]) == 1
        for call, sampling in by_call(here).items()
    )


def _pixels(sampling: Sampling) -> int:
    return sampling.rows.output * sampling.columns.output
