"""Figures of an audit: the error against input size and against depth, as SVG and PNG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes

from gcnnbench.disk import write_whole
from gcnnbench.equivariance.audit import Audit, SizeAudit
from gcnnbench.errors import UserError
from gcnnbench.figures.style import COLOURS, encoded, new_figure, styled

FLOOR = 1e-17
"""Errors of zero stand here on the logarithmic axis."""
MARKS = {"exact": "o", "approximate": "s", "unknown": "D"}


def draw(found: Audit, stem: Path) -> list[Path]:
    """Write `STEM-size` and `STEM-depth`, each as SVG and PNG.

    Raises:
        UserError: the network could take none of the sizes, so that there is nothing to draw.
    """
    if all(row.measured is None for row in found.sizes):
        raise UserError(f"{found.network} could take none of the sizes, so there is no error to draw")
    stem.parent.mkdir(parents=True, exist_ok=True)
    drawings: dict[str, Callable[[Axes, Audit], None]] = {"size": against_size, "depth": against_depth}
    return [path for name, drawing in drawings.items() for path in _written(found, stem, name, drawing)]


def against_size(axes: Axes, found: Audit) -> None:
    """The relative invariance error at the output that decided, over the input size, marked by the decision."""
    for verdict, mark in MARKS.items():
        rows = [row for row in found.sizes if row.decision == verdict and row.error is not None]
        errors = [max(row.error or 0.0, FLOOR) for row in rows]
        if rows:
            axes.plot([row.size for row in rows], errors, mark, color=COLOURS[verdict][0], label=verdict)
    axes.set_xlabel("input size in pixels")
    axes.set_ylabel("relative invariance error, float64")
    axes.legend(title="decision", frameon=False)


def against_depth(axes: Axes, found: Audit) -> None:
    """The relative error of every layer whose action is known, and of the output; a line for each size."""
    rows = [row for row in found.sizes if row.measured is not None]
    layers = list(dict.fromkeys(layer for row in rows for layer in _errors(row)))
    for row in rows:
        errors = _errors(row)
        places = [place for place, layer in enumerate(layers) if layer in errors]
        axes.plot(
            places,
            [max(errors[layers[place]], FLOOR) for place in places],
            MARKS[row.decision],
            linestyle="-",
            markersize=3,
            linewidth=0.8,
            color=COLOURS[row.decision][0],
            label=f"{row.size}, {row.decision}",
        )
    axes.set_xticks(range(len(layers)), layers, rotation=90, fontsize=7)
    axes.set_ylabel("relative equivariance error, float64")
    axes.legend(title="input size", frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _errors(row: SizeAudit) -> dict[str, float]:
    """The largest finite error over elements of each layer, in the state that decided."""
    found: dict[str, float] = {}
    deciding = row.measured.deciding if row.measured else None
    state = deciding.state if deciding else "given"
    for one in row.measured.judged if row.measured else ():
        if one.state == state and one.error < float("inf"):
            found[one.layer] = max(one.error, found.get(one.layer, 0.0))
    return found


def _written(found: Audit, stem: Path, name: str, drawing: Callable[[Axes, Audit], None]) -> list[Path]:
    title = f"{found.network} under {found.group}"
    with styled():
        figure = new_figure(4.0)
        axes = figure.add_subplot()
        drawing(axes, found)
        axes.set_yscale("log")
        axes.set_title(title)
        contents = encoded(figure, title, drawing.__doc__ or title)
    paths = [stem.with_name(f"{stem.name}-{name}.{form}") for form in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_whole(path, content)
    return paths
