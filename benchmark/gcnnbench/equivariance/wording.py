"""Words for the rows of an audit: the verdict of each by a stated rule, and the legend of its table.

*Exact* and *approximate* of a measurement say whether the output is equivariant at one size. A reader wants to know,
too, whether sampling is to blame. So a network that is not exact at a size reads *approximate* only if its layers are
equivariant but for the sampling: if the sampling at this size is not known to be symmetric, and the network is measured
exact at another size (`nearby.py`). Where sampling breaks every size nearby, nothing can be told of the layers; where
the error is no larger than what float32 resolves, nothing of the symmetry. Else it reads *not equivariant*.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Literal

from gcnnbench.equivariance.audit import Audit
from gcnnbench.equivariance.nearby import Nearby, around
from gcnnbench.equivariance.size_audit import SizeAudit
from gcnnbench.formatting import ranges

Words = Literal[
    "exact",
    "not proved; measured exact",
    "approximate",
    "not equivariant",
    "broken at every size",
    "unknown",
    "inapplicable",
    "contradictory",
]
MEANINGS: dict[Words, str] = {
    "exact": "every operation is known to be equivariant, and measurement agrees",
    "not proved; measured exact": "measured, with operations that are not known to be equivariant",
    "approximate": "equivariant but for the sampling: exact at another size",
    "not equivariant": "not exact where no sampling is known to break it either: its layers break the symmetry, "
    "as ordinary convolutions do that of turns",
    "broken at every size": "sampling breaks it at all sizes nearby that it takes, so what its layers do is left open",
    "unknown": "rounding, or an output that shows nothing, here or at other sizes, leaves it open",
    "inapplicable": "the network cannot take this size",
    "contradictory": "operations and measurement contradict each other; please report this network",
}


def words(found: Audit, row: SizeAudit) -> Words:
    """What a row of an audit reads."""
    if row.disagreement:
        return "contradictory"
    if row.decision == "exact":
        return "exact" if row.seen is not None and row.seen.verdict == "exact" else "not proved; measured exact"
    if row.settled != "approximate":
        return row.settled
    return "not equivariant" if row.grid == "symmetric" else _by_other_sizes(found.nearby, row)


def _by_other_sizes(nearby: Nearby, row: SizeAudit) -> Words:
    known = (size for size in nearby.exact_sizes if size != row.size)
    found = {other.settled for other in nearby.looked_at(row, (*known, *around(row.size)))}
    if "exact" in found:
        return "approximate"
    if "approximate" in found:
        return "not equivariant"
    return "unknown" if found else "broken at every size"


def legend(found: Audit, read: list[Words]) -> list[str]:
    """What the words that occur mean, and what the errors are, one sentence a line."""
    lines = [f"{word}: {MEANINGS[word]}" for word in MEANINGS if word in read]
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
