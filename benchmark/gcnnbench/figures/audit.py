"""Figures of an audit: the error against input size and against depth, as SVG and PNG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gcnnbench.equivariance.audit import Audit
from gcnnbench.equivariance.size_audit import SizeAudit
from gcnnbench.equivariance.wording import Words
from gcnnbench.errors import UserError
from gcnnbench.escaping import mathtext
from gcnnbench.figures.drawing import write_figure
from gcnnbench.figures.style import COLOURS, GREY, joined, legend_below, looks, new_figure, styled
from gcnnbench.formatting import ROUNDING

FLOOR = 1e-17
"""Errors of zero stand here on the logarithmic axis."""
MARKS: dict[Words, tuple[str, str]] = {
    "exact": ("o", "exact"),
    "not proved; measured exact": ("v", "exact"),
    "approximate": ("s", "approximate"),
    "not equivariant": ("X", "none"),
    "broken at every size": ("^", "approximate"),
    "unknown": ("D", "unknown"),
    "contradictory": ("P", "unknown"),
}
"""The mark of each word of an audit's table, and the equivariance whose colours it has."""


@dataclass(frozen=True)
class Reading:
    """An audit with what each of its rows reads, as its table says it."""

    found: Audit
    words: Sequence[Words]

    @property
    def rows(self) -> list[tuple[SizeAudit, Words]]:
        """The sizes that were measured, each with what it reads."""
        both = zip(self.found.sizes, self.words, strict=True)
        return [(row, word) for row, word in both if row.measured is not None and word in MARKS]


def draw(found: Audit, words: Sequence[Words], stem: Path) -> list[Path]:
    """Write `STEM-size` and `STEM-depth`, each as SVG and PNG.

    Args:
        found: the audit.
        words: what each of its rows reads.
        stem: path without its ending.

    Raises:
        UserError: the network could take none of the sizes, so that there is nothing to draw.
    """
    if all(row.measured is None for row in found.sizes):
        raise UserError(f"{found.network} was measured at none of the sizes, so there is no error to draw")
    drawings: dict[str, Drawing] = {"size": against_size, "depth": against_depth}
    reading = Reading(found, words)
    return [path for name, drawing in drawings.items() for path in _written(reading, stem, name, drawing)]


def against_size(axes: Axes, reading: Reading) -> None:
    """The relative invariance error at the output that decided, over the input size, marked by what the table reads."""
    found = reading.found
    for word, (mark, equivariance) in MARKS.items():
        rows = [row for row, read in reading.rows if read == word and row.error is not None]
        errors = [max(row.error or 0.0, FLOOR) for row in rows]
        if rows:
            colour = COLOURS[equivariance][0]
            axes.plot([row.size for row in rows], errors, marker=mark, linestyle="none", color=colour, label=word)
    axes.set_xlabel("input size in pixels")
    axes.set_ylabel("relative invariance error, float64")
    axes.set_ylim(FLOOR / 3, 10)
    axes.axhspan(FLOOR / 3, ROUNDING, color=GREY, alpha=0.12, linewidth=0, label="rounding")
    axes.set_xticks([row.size for row in found.sizes] if len(found.sizes) <= 20 else axes.get_xticks())


def against_depth(axes: Axes, reading: Reading) -> None:
    """The relative error of every layer whose action is known, and of the output; a line for each size."""
    layers = list(dict.fromkeys(layer for row, _ in reading.rows for layer in _errors(row)))
    colours = looks((str(row.size), MARKS[word][1]) for row, word in reading.rows)
    for row, word in reading.rows:
        errors = _errors(row)
        places = [place for place, layer in enumerate(layers) if layer in errors]
        axes.plot(
            places,
            [max(errors[layers[place]], FLOOR) for place in places],
            marker=MARKS[word][0],
            linestyle=joined("-", len(places)),
            markersize=3,
            linewidth=0.8,
            color=colours[str(row.size)].colour,
            label=f"{row.size}, {word}",
        )
    axes.set_xticks(range(len(layers)), list(map(mathtext, layers)), rotation=90, fontsize=7)
    axes.set_ylabel("relative equivariance error, float64")


Drawing = Callable[[Axes, Reading], None]


def _errors(row: SizeAudit) -> dict[str, float]:
    """The largest finite error over elements of each layer, in the state that decided."""
    found: dict[str, float] = {}
    deciding = row.measured.deciding if row.measured else None
    state = deciding.state if deciding else "given"
    for one in row.measured.judged if row.measured else ():
        if one.state == state and one.error < float("inf"):
            found[one.layer] = max(one.error, found.get(one.layer, 0.0))
    return found


def figure(reading: Reading, drawing: Drawing) -> Figure:
    """One of the two figures of an audit, to be made inside `styled()`."""
    made = new_figure(4.0)
    axes = made.add_subplot()
    drawing(axes, reading)
    axes.set_yscale("log")
    axes.set_title(mathtext(_title(reading.found)))
    legend_below(made)
    return made


def _title(found: Audit) -> str:
    return f"{found.network} under {found.group}"


def _written(reading: Reading, stem: Path, name: str, drawing: Drawing) -> list[Path]:
    title = _title(reading.found)
    with styled():
        return write_figure(
            figure(reading, drawing), title, drawing.__doc__ or title, stem.with_name(f"{stem.name}-{name}")
        )
