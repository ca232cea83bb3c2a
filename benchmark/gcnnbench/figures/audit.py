"""Figures of an audit: the error against input size and against depth, as SVG and PNG."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gcnnbench.disk import write_whole
from gcnnbench.equivariance.audit import Audit, SizeAudit
from gcnnbench.errors import UserError
from gcnnbench.figures.style import COLOURS, GREY, encoded, joined, legend_below, looks, new_figure, styled

ROUNDING = 1e-12
"""Errors below it are those of float64 and tell nothing."""
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
    axes.set_ylim(FLOOR / 3, 10)
    axes.axhspan(FLOOR / 3, ROUNDING, color=GREY, alpha=0.12, linewidth=0, label="rounding")
    axes.set_xticks([row.size for row in found.sizes] if len(found.sizes) <= 20 else axes.get_xticks())


def against_depth(axes: Axes, found: Audit) -> None:
    """The relative error of every layer whose action is known, and of the output; a line for each size."""
    rows = [row for row in found.sizes if row.measured is not None]
    layers = list(dict.fromkeys(layer for row in rows for layer in _errors(row)))
    colours = looks((str(row.size), row.decision) for row in rows)
    for row in rows:
        errors = _errors(row)
        places = [place for place, layer in enumerate(layers) if layer in errors]
        axes.plot(
            places,
            [max(errors[layers[place]], FLOOR) for place in places],
            MARKS[row.decision],
            linestyle=joined("-", len(places)),
            markersize=3,
            linewidth=0.8,
            color=colours[str(row.size)].colour,
            label=f"{row.size}, {row.decision}",
        )
    axes.set_xticks(range(len(layers)), layers, rotation=90, fontsize=7)
    axes.set_ylabel("relative equivariance error, float64")


def _errors(row: SizeAudit) -> dict[str, float]:
    """The largest finite error over elements of each layer, in the state that decided."""
    found: dict[str, float] = {}
    deciding = row.measured.deciding if row.measured else None
    state = deciding.state if deciding else "given"
    for one in row.measured.judged if row.measured else ():
        if one.state == state and one.error < float("inf"):
            found[one.layer] = max(one.error, found.get(one.layer, 0.0))
    return found


def figure(found: Audit, drawing: Callable[[Axes, Audit], None]) -> Figure:
    """One of the two figures of an audit, to be made inside `styled()`."""
    made = new_figure(4.0)
    axes = made.add_subplot()
    drawing(axes, found)
    axes.set_yscale("log")
    axes.set_title(_title(found))
    legend_below(made)
    return made


def _title(found: Audit) -> str:
    return f"{found.network} under {found.group}"


def _written(found: Audit, stem: Path, name: str, drawing: Callable[[Axes, Audit], None]) -> list[Path]:
    with styled():
        contents = encoded(figure(found, drawing), _title(found), drawing.__doc__ or _title(found))
    paths = [stem.with_name(f"{stem.name}-{name}.{form}") for form in contents]
    for path, content in zip(paths, contents.values(), strict=True):
        write_whole(path, content)
    return paths
