"""Every metric of a cell, computed from the counts that its record keeps; nothing here needs torch or numpy.

Counts are integers, so every accuracy is a correctly rounded quotient: the same on every machine, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from gcnnbench.cards.base import Model
from gcnnbench.cards.values import Natural, OutsideLine

METRIC_VERSIONS: dict[str, int] = {
    "accuracy.element": 1,
    "accuracy.seen": 1,
    "accuracy.unseen": 1,
    "accuracy.orbit": 1,
    "accuracy.curve_mean": 1,
    "auc": 1,
    "invariance_error": 1,
    "flips": 1,
}
"""The version of each metric's definition; `accuracy.element` defines `accuracy.upright`, `accuracy.rot90`, …

A version above 1 belongs to the spec digest. Version 1 stays out of it, so a metric that is added changes no digest.
"""

UPRIGHT = "upright"

Confusion = tuple[tuple[Natural, ...], ...]
"""Counts with the axes (true class, predicted class)."""


class Ordered(Model):
    """Of all pairs (image of class 1, image of class 0): in how many the former scores higher, and in how many alike.

    The score is the logit of class 1 minus that of class 0, upright.
    """

    concordant: Natural
    tied: Natural


class Counts(Model):
    """Counts over the whole test set, from which every accuracy, every flip and the AUC can be recomputed.

    `elements` and `angles` hold a confusion matrix for each group element and each angle in degrees; `flips` holds,
    for each group element, the joint counts with the axes (class predicted upright, class predicted under it).
    `ordered` is null where the benchmark does not ask for the AUC.
    """

    elements: dict[OutsideLine, Confusion]
    angles: dict[OutsideLine, Confusion]
    flips: dict[OutsideLine, Confusion]
    ordered: Ordered | None = None


def metrics(counts: Counts, seen: Sequence[str], *, invariance_error: float | None) -> dict[str, float | None]:
    """Every metric of one cell.

    `accuracy.ELEMENT` is the share of test images classified correctly under that element; `accuracy.seen`,
    `accuracy.unseen` and `accuracy.orbit` are its means over the elements that training has seen, over the others,
    and over all; `accuracy.curve_mean` is the mean over the angles. `flips` is the share of pairs (image, element
    other than the identity) whose predicted class is not the one predicted upright. `auc` is the area under the ROC
    curve upright, `(concordant + tied / 2) / pairs` over all pairs of an image of class 1 and one of class 0.

    Args:
        counts: the record's counts.
        seen: names of the elements that training has seen.
        invariance_error: that of the state after training (`EquivarianceState.invariance_error`); no count holds it.

    Returns:
        Fractions in [0, 1] (and the invariance error) by metric name; null where a metric is not defined.

    Raises:
        ValueError: `seen` names an element that was not counted, or a condition counts no image.
    """
    if missing := sorted(set(seen) - set(counts.elements)):
        raise ValueError(f"seen names {missing[0]!r}, which was not counted: one of {', '.join(counts.elements)}")
    hits = {name: (trace(matrix), shown(matrix)) for name, matrix in counts.elements.items()}
    unseen = [hit for name, hit in hits.items() if name not in seen]
    moved = [(shown(matrix) - trace(matrix), shown(matrix)) for name, matrix in counts.flips.items() if name != UPRIGHT]
    return {
        **{f"accuracy.{name}": _mean([hit]) for name, hit in hits.items()},
        "accuracy.seen": _mean([hits[name] for name in seen]),
        "accuracy.unseen": _mean(unseen),
        "accuracy.orbit": _mean(list(hits.values())),
        "accuracy.curve_mean": _mean([(trace(matrix), shown(matrix)) for matrix in counts.angles.values()]),
        "auc": _auc(counts),
        "invariance_error": invariance_error,
        "flips": _mean(moved),
    }


def images(counts: Counts) -> int:
    """The number of test images counted upright."""
    return shown(counts.elements[UPRIGHT])


def pairs(counts: Counts) -> int:
    """The number of pairs of a test image of one class and one of the other; 0 where there are not two classes."""
    rows = counts.elements[UPRIGHT]
    return sum(rows[0]) * sum(rows[1]) if len(rows) == 2 else 0


def angle_accuracies(counts: Counts) -> dict[int, float]:
    """Accuracy by angle in degrees: the curve of which `accuracy.curve_mean` is the mean.

    Raises:
        ValueError: a condition counts no image.
    """
    shares = {int(angle): _mean([(trace(matrix), shown(matrix))]) for angle, matrix in counts.angles.items()}
    return {angle: share for angle, share in sorted(shares.items()) if share is not None}


def inconsistencies(counts: Counts) -> list[str]:
    """What in the counts contradicts itself, in words; empty where they could be those of one network on one test set.

    Every condition shows the same images, so all confusion matrices have the same row sums; a rotation by 0 degrees is
    the identity bit for bit; the flips' row and column sums are what the upright and the turned confusion matrix say
    was predicted; and no more images can change from right to wrong between two conditions than change their class.
    """
    if UPRIGHT not in counts.elements:
        return [f"counts.elements lacks {UPRIGHT!r}, against which everything else is compared"]
    upright = counts.elements[UPRIGHT]
    conditions = {f"elements.{name}": matrix for name, matrix in counts.elements.items()}
    conditions |= {f"angles.{name}": matrix for name, matrix in counts.angles.items()}
    shaped = conditions | {f"flips.{name}": matrix for name, matrix in counts.flips.items()}
    misshapen = [name for name, matrix in shaped.items() if {len(upright)} != {len(matrix), *map(len, matrix)}]
    if misshapen:
        return [f"counts.{name} is not {len(upright)} × {len(upright)}, the number of classes" for name in misshapen]
    findings = [
        f"counts.{name} has other test labels than elements.{UPRIGHT}: row sums {_rows(matrix)}, not {_rows(upright)}"
        for name, matrix in conditions.items()
        if _rows(matrix) != _rows(upright)
    ]
    if counts.angles.get("0", upright) != upright:
        findings.append(f"counts.angles.0 is not counts.elements.{UPRIGHT}, though nothing is rotated")
    if (flipped := set(counts.flips) | {UPRIGHT}) != set(counts.elements):
        odd = ", ".join(sorted(flipped ^ set(counts.elements)))
        findings.append(f"counts.flips and counts.elements are not about the same elements: {odd}")
    for name, joint in counts.flips.items():
        if name in counts.elements:
            findings += _flips_findings(name, joint, upright, counts.elements[name])
    return findings + _ordered_findings(counts.ordered, upright)


def differences(stored: Mapping[str, float | None], recomputed: Mapping[str, float | None]) -> list[str]:
    """Which stored metrics are not the recomputed ones, in words. Metrics unknown to the record are no difference.

    Args:
        stored: the metrics a record states.
        recomputed: `metrics` of the record's own counts.
    """
    invented = [f"metrics.{name} is no metric of this cell" for name in stored if name not in recomputed]
    return invented + [
        f"metrics.{name} is {stored[name]}, but the counts give {value}"
        for name, value in recomputed.items()
        if name in stored and stored[name] != value
    ]


def _flips_findings(name: str, joint: Confusion, upright: Confusion, turned: Confusion) -> list[str]:
    findings = []
    if _rows(joint) != _columns(upright):
        findings.append(f"counts.flips.{name}: its row sums are not the classes predicted in elements.{UPRIGHT}")
    if _columns(joint) != _columns(turned):
        findings.append(f"counts.flips.{name}: its column sums are not the classes predicted in elements.{name}")
    gained, changed = abs(trace(turned) - trace(upright)), shown(joint) - trace(joint)
    if gained > changed:
        findings.append(f"counts.flips.{name}: {changed} classes change, yet {gained} more or fewer are right")
    return findings


def _auc(counts: Counts) -> float | None:
    if counts.ordered is None:
        return None
    class_0, class_1 = _rows(counts.elements[UPRIGHT])
    found = counts.ordered
    return (2 * found.concordant + found.tied) / (2 * class_0 * class_1) if class_0 * class_1 else None


def _ordered_findings(found: Ordered | None, upright: Confusion) -> list[str]:
    """An image predicted to be of class 1 scores higher than one predicted to be of class 0, whatever it is."""
    if found is None:
        return []
    if len(upright) != 2:
        return [f"counts.ordered orders two classes, but counts.elements.{UPRIGHT} has {len(upright)}"]
    (right_0, wrong_0), (wrong_1, right_1) = upright
    low, high = right_0 * right_1, (right_0 + wrong_0) * (right_1 + wrong_1) - wrong_0 * wrong_1
    if low <= found.concordant and found.concordant + found.tied <= high:
        return []
    return [
        f"counts.ordered: {found.concordant} pairs concordant and {found.tied} tied, but by counts.elements.{UPRIGHT} "
        f"at least {low} are concordant, and at most {high} are one or the other"
    ]


def _mean(shares: Sequence[tuple[int, int]]) -> float | None:
    """The mean of quotients (numerator, denominator), rounded once; null of none."""
    if not shares:
        return None
    totals = {total for _, total in shares}
    if 0 in totals:
        raise ValueError("a condition counts no image, so it has no accuracy")
    if len(totals) == 1:
        return sum(part for part, _ in shares) / (totals.pop() * len(shares))
    return float(sum(Fraction(part, total) for part, total in shares) / len(shares))


def trace(matrix: Confusion) -> int:
    """How many images the two classifications agree on."""
    return sum(row[index] for index, row in enumerate(matrix))


def shown(matrix: Confusion) -> int:
    """How many images were classified."""
    return sum(map(sum, matrix))


def _rows(matrix: Confusion) -> list[int]:
    return [sum(row) for row in matrix]


def _columns(matrix: Confusion) -> list[int]:
    return [sum(column) for column in zip(*matrix, strict=True)]
