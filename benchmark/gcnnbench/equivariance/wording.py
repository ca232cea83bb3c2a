"""Words for the rows of an audit: the verdict of each by a stated rule, and the legend of its table.

*Exact* and *approximate* of a measurement say whether the output is equivariant at one size. A reader wants to know,
too, whether sampling is to blame. So a network that is not exact at a size reads *approximate* only if its layers are
equivariant but for the sampling: if the sampling at this size is not known to be symmetric, and the network is measured
exact at another size. Else it reads *not equivariant*.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from gcnnbench.equivariance.audit import Audit, SizeAudit, audit_size
from gcnnbench.equivariance.exactness import watch
from gcnnbench.equivariance.factories import Factory
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.foreign_code import REFUSALS
from gcnnbench.formatting import ranges
from gcnnbench.nn.fields import Field

Words = Literal[
    "exact",
    "not proved; measured exact",
    "approximate",
    "not equivariant",
    "unknown",
    "inapplicable",
    "contradictory",
]
MEANINGS: dict[Words, str] = {
    "exact": "every operation is known to be equivariant, and measurement agrees",
    "not proved; measured exact": "measured, with operations that are not known to be equivariant",
    "approximate": "equivariant but for the sampling: exact at another size",
    "not equivariant": "not exact at the nearest size with symmetric sampling either: its layers break the symmetry, "
    "as ordinary convolutions do that of turns",
    "unknown": "rounding, or an output that shows nothing, leaves it open",
    "inapplicable": "the network cannot take this size",
    "contradictory": "operations and measurement contradict each other; please report this network",
}
REACH = 33
"""How far from a size another one is looked for."""
TRIES = 2
"""At how many of the nearest sizes with symmetric sampling a network is measured before it reads *not equivariant*."""


@dataclass
class Reader:
    """Reads the rows of one audit; what it measures beside them is measured once.

    Args:
        found: the audit.
        make: the network for a size.
        output: how the output should transform; invariant logits where None.
    """

    found: Audit
    make: Factory
    output: Field | None = None
    _known: dict[int, SizeAudit | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._known.update({row.size: row for row in self.found.sizes})

    @property
    def exact_sizes(self) -> tuple[int, ...]:
        """The sizes at which the network was measured exact so far: of the audit, and those looked at for words."""
        return tuple(size for size, row in sorted(self._known.items()) if row is not None and row.decision == "exact")

    def words(self, row: SizeAudit) -> Words:
        """What a row reads."""
        if row.disagreement:
            return "contradictory"
        if row.decision == "exact":
            return "exact" if row.seen is not None and row.seen.verdict == "exact" else "not proved; measured exact"
        if row.decision == "approximate":
            sampling = row.grid != "symmetric" and self._exact_elsewhere(row)
            return "approximate" if sampling else "not equivariant"
        return row.decision

    def _exact_elsewhere(self, row: SizeAudit) -> bool:
        if any(other.decision == "exact" for other in self.found.sizes):
            return True
        tried = 0
        for size in _around(row.size):
            other = self._at(size)
            if other is None or other.grid == "broken":
                continue
            tried += 1
            if other.decision == "exact" or tried == TRIES:
                return other.decision == "exact"
        return False

    def _at(self, size: int) -> SizeAudit | None:
        """The row of another size; None where the network cannot take it or its sampling is not symmetric."""
        if size not in self._known:
            self._known[size] = None
            group = self.found.acting_group
            try:
                shown = sample_images(2, self.found.channels, size)
                seen = watch(self.make(size), shown, group.elements, self.output, size)
            except REFUSALS:
                return None
            if seen.grid != "broken":
                self._known[size] = audit_size(self.make, size, group, self.found.channels, self.output)
        other = self._known[size]
        return None if other is None or other.decision == "inapplicable" else other


def _around(size: int) -> Iterator[int]:
    """Other sizes, the nearest first."""
    for far in range(1, REACH + 1):
        yield size + far
        if size - far > 1:  # no element moves the one pixel of the smallest image
            yield size - far


def legend(found: Audit, words: list[Words]) -> list[str]:
    """What the words that occur mean, and what the errors are, one sentence a line."""
    lines = [f"{word}: {MEANINGS[word]}" for word in MEANINGS if word in words]
    inputs: dict[str, list[int]] = defaultdict(list)
    left_open: dict[str, list[int]] = defaultdict(list)
    for row in found.sizes:
        if row.decision == "exact" and row.inputs is not None:
            inputs[row.inputs].append(row.size)
            for doubt in row.left_open:
                left_open[doubt].append(row.size)
        elif row.measured is not None and row.measured.on_further_inputs_only:
            lines.append(f"{row.size}: {row.measured.reason}")
    advised = [row for row in found.sizes if row.advice]
    lines += [
        f"{ranges([row.size for row in advised if row.advice == advice])}: {advice}"
        for advice in dict.fromkeys(row.advice for row in advised)
    ]
    lines += [f"measured exact at {ranges(sizes)} for inputs from {text}" for text, sizes in inputs.items()]
    lines += [f"left open at {ranges(sizes)}, {doubt}" for doubt, sizes in left_open.items()]
    controls = [row.measured.control for row in found.sizes if row.measured and row.measured.control is not None]
    if controls:
        lines.append(
            "errors: rms(f(gx) − f(x)) / rms(f(x) − mean f) at the output, in float64, the largest over the elements g;"
            f" the negative control, an equivariant network on a grid that breaks it, has {max(controls):.1e}"
        )
    return lines
