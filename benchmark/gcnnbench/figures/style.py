"""The look of every figure: told apart in greyscale and with any colour vision, and made twice the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from matplotlib import style
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure, SubFigure
from matplotlib.legend import Legend

from gcnnbench.outside_text import as_line, as_text

BLACK, ORANGE, SKY, GREEN = "#000000", "#e69f00", "#56b4e9", "#009e73"
BLUE, VERMILION, PURPLE, GREY = "#0072b2", "#d55e00", "#cc79a7", "#777777"
"""Okabe and Ito's colours."""
DARK = "#333333"
COLOURS = {
    "exact": (BLUE, SKY, GREEN),
    "approximate": (VERMILION, PURPLE, ORANGE),
    "none": (BLACK, GREY),
    "unknown": (GREY,),
}
MOST_SHADES = 12
"""How often a colour is made lighter; after that it repeats."""
Dashes = str | tuple[int, tuple[float, ...]]
LINES: dict[str, Dashes] = {"exact": "-", "approximate": (0, (5, 1.5)), "none": (0, (1, 1.2)), "unknown": "-."}
MARKS = ("o", "s", "^", "D", "v", "P", "X", "*")
WIDTH = 7.0
"""Inches: the text of a page with two columns."""

SETTINGS: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.5,
    "axes.axisbelow": True,
    "lines.linewidth": 1.2,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.handlelength": 3.6,
    "svg.fonttype": "path",
    "svg.hashsalt": "gcnnbench",
    "path.simplify": False,
}


@dataclass(frozen=True)
class Look:
    """How one network is drawn: colour and line by its equivariance, a mark of its own, and its place among them."""

    place: int
    colour: str
    line: Dashes
    mark: str


def looks(networks: Iterable[tuple[str, str]]) -> dict[str, Look]:
    """A look for each network.

    Args:
        networks: (name, what its equivariance is) each.
    """
    found: dict[str, Look] = {}
    used = dict.fromkeys(COLOURS, 0)
    taken: set[str] = set()
    for place, (name, equivariance) in enumerate(networks):
        colours, number = COLOURS[equivariance], used[equivariance]
        colour, times = colours[number % len(colours)], number // len(colours)
        while (shade := _shade(colour, times)) in taken and times < MOST_SHADES:
            times += 1
        taken.add(shade)
        found[name] = Look(place, shade, LINES[equivariance], MARKS[place % len(MARKS)])
        used[equivariance] += 1
    return found


def _shade(colour: str, times: int) -> str:
    """A colour that was used so often before, each time nearer to a light grey."""
    keep = 0.6**times
    red, green, blue = (keep * part + (1 - keep) * 0.8 for part in to_rgb(colour))
    return to_hex((red, green, blue))


FEWEST = 3
"""Points that make a curve: two are two points, and no line joins them."""


def joined(line: Dashes, points: int) -> Dashes:
    """The style of the line through so many points; none where they make no curve."""
    return line if points >= FEWEST else "none"


def legend_below(figure: Figure | SubFigure, handles: Sequence[Artist] | None = None, **settings: Any) -> Legend:
    """A legend below all axes, in as many columns, at most five, as the canvas has room for."""
    chosen = handles if handles is not None else _labelled(figure)
    columns = max(1, min(5, len(chosen)))
    while True:
        legend = figure.legend(handles=chosen, loc="outside lower center", ncols=columns, **settings)
        if columns == 1 or legend.get_window_extent().width <= 0.97 * figure.bbox.width:
            return legend
        legend.remove()
        columns -= 1


def _labelled(figure: Figure | SubFigure) -> list[Artist]:
    return [handle for axes in figure.axes for handle in axes.get_legend_handles_labels()[0]]


def new_figure(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of this size in inches; draw it inside `styled()`."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def styled() -> AbstractContextManager[None]:
    """These settings on top of matplotlib's own defaults and of nobody's configuration, for as long as it is open."""
    return style.context(SETTINGS, after_reset=True)


def encoded(figure: Figure, title: str, description: str) -> dict[str, bytes]:
    """The figure as `svg` and `png`, without a date, with its title and description inside.

    Args:
        figure: drawn under the same settings.
        title: of the file's metadata.
        description: the caption.
    """
    found = {}
    for form in ("svg", "png"):
        content = io.BytesIO()
        metadata: dict[str, str | None] = {"Title": as_line(title), "Description": as_text(description)}
        if form == "svg":
            metadata["Date"] = None
        figure.savefig(content, format=form, dpi=200, metadata=metadata)
        found[form] = content.getvalue()
    return found
