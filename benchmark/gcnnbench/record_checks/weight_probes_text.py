"""What a probe read from weights beside records, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from gcnnbench.formatting import NOTHING, percent, points, share
from gcnnbench.layout import pipes
from gcnnbench.record_checks.weight_probes import Layer, Merge, Probed
from gcnnbench.statistics import summary

NEGLIGIBLE = 1e-9
"""Readings that are nearer to zero or to one than this are written without decimals."""


def as_markdown(found: Probed) -> str:
    """A row for each quantity and entry, means over seeds, the untrained networks' in brackets; then the merges."""
    parts = [_layer_table(found.layers)]
    if found.merges:
        columns = ("accuracy", "norms anew", "merged with itself turned", "gap", "gap of a merge with the next seed")
        parts.append(_table([_merge_row(one) for one in found.merges], ("benchmark", "entry", "seeds", *columns)))
    if found.notes:
        parts.append("\n".join(f"- not read: {note}" for note in found.notes))
    return "\n\n".join(parts)


def _layer_table(layers: Sequence[Layer]) -> str:
    rows: dict[tuple[str, str, str], list[str]] = {}
    for quantity in dict.fromkeys(one.quantity for one in layers):
        for one in layers:
            if one.quantity == quantity:
                row = rows.setdefault((quantity, one.benchmark, one.entry), [str(len(one.seeds))])
                untrained = NOTHING if one.untrained is None else reading(summary(one.untrained).mean)
                row.append(f"{reading(summary(one.trained).mean)} ({untrained})")
    depth = max(len(row) for row in rows.values()) - 1
    headings = ["quantity", "benchmark", "entry", "seeds", *(f"layer {place + 1}" for place in range(depth))]
    return _table([[*key, *row] for key, row in rows.items()], headings)


def reading(value: float) -> str:
    """A share or a correlation to two decimals; `0` and `1` are it to rounding, `<0.01` and `>0.99` are not."""
    if abs(value) < NEGLIGIBLE or abs(value - 1) < NEGLIGIBLE:
        return f"{abs(value):.0f}"
    text = f"{value:.2f}".replace("-", "−")
    return {"0.00": "<0.01", "−0.00": ">−0.01", "1.00": ">0.99" if value < 1 else "1.00"}.get(text, text)


def _merge_row(one: Merge) -> list[str]:
    gaps = [fresh - moved for fresh, moved in zip(one.fresh, one.moved, strict=True)]
    others = [fresh - other for fresh, other in zip(one.fresh, one.other, strict=False)]
    shares = [percent(summary(values), 1) for values in (one.own, one.fresh, one.moved)]
    return [one.benchmark, one.entry, str(len(one.seeds)), *shares, _points(gaps), _points(others)]


def _points(values: Sequence[float]) -> str:
    if not values:
        return NOTHING
    found = summary(values)
    spread = "" if found.std is None else f" ± {share(found.std, 1)}"
    return points(found.mean, 1) + spread


def _table(rows: Sequence[Sequence[str]], headings: Sequence[str]) -> str:
    return pipes(([*headings], [[*row] for row in rows], ""), roomy=True)
