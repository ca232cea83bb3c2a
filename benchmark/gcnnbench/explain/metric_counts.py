"""Names the counts of a record that each metric is a quotient of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gcnnbench.scoring.metrics import UPRIGHT, Confusion, Counts, shown, trace

ELSEWHERE: Mapping[str, str] = {
    "invariance_error": "equivariance.after.invariance_error: measured in float64 where the device has it",
}
"""The fields of metrics that no count holds."""


@dataclass(frozen=True)
class Tally:
    """`part` of `total`, counted in these fields of a record; their quotient is the metric, `formula` says what of."""

    part: int
    total: int
    fields: tuple[str, ...]
    formula: str

    @property
    def fields_text(self) -> str:
        """`counts.elements.rot90, rot180`; a long list by its ends."""
        kind = self.fields[0].rpartition(".")[0]
        if any(field.rpartition(".")[0] != kind for field in self.fields):
            return ", ".join(self.fields)
        names = [field.rpartition(".")[2] for field in self.fields]
        some = names if len(names) <= 8 else [*names[:2], "…", f"{names[-1]} ({len(names)} of them)"]
        return f"{kind}.{', '.join(some)}"


def tally(metric: str, counts: Counts, seen: Sequence[str]) -> Tally | None:
    """The counts behind a metric; null where no count holds it, or where it is not defined.

    Every condition shows the same test images, so a mean of accuracies over conditions is one quotient:
    `Σ right / Σ shown`.

    Args:
        metric: as `gcnnbench.scoring.metrics.metrics` names it.
        counts: the record's counts.
        seen: names of the elements that training has seen.
    """
    if metric == "flips":
        joint = {name: table for name, table in counts.flips.items() if name != UPRIGHT}
        total = sum(map(shown, joint.values()))
        return _tally(total - sum(map(trace, joint.values())), "flips", joint, "classes other than upright / shown")
    if metric == "auc":
        return _pairs(counts)
    name = metric.removeprefix("accuracy.")
    if metric == name:
        return None
    if name == "curve_mean":
        return _tally(sum(map(trace, counts.angles.values())), "angles", counts.angles, "right / shown")
    chosen = {
        "seen": list(seen),
        "unseen": [element for element in counts.elements if element not in seen],
        "orbit": list(counts.elements),
    }.get(name, [name])
    tables = {element: counts.elements[element] for element in chosen if element in counts.elements}
    return _tally(sum(map(trace, tables.values())), "elements", tables, "right / shown")


def _tally(part: int, kind: str, tables: Mapping[str, Confusion], formula: str) -> Tally | None:
    if not tables:
        return None
    return Tally(part, sum(map(shown, tables.values())), tuple(f"counts.{kind}.{name}" for name in tables), formula)


def _pairs(counts: Counts) -> Tally | None:
    """The pairs of an image of class 1 and one of class 0, each twice, so that a tie counts half."""
    if counts.ordered is None:
        return None
    class_0, class_1 = map(sum, counts.elements[UPRIGHT])
    ordered = 2 * counts.ordered.concordant + counts.ordered.tied
    formula = "(2 · concordant + tied) / (2 · pairs of the two classes)"
    return Tally(ordered, 2 * class_0 * class_1, ("counts.ordered", f"counts.elements.{UPRIGHT}"), formula)
