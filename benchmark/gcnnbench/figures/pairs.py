"""Exact minus approximate network of one architecture, with 95% intervals, over benchmarks and metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gcnnbench.errors import UserError
from gcnnbench.escaping import mathtext
from gcnnbench.figures.drawing import Drawing
from gcnnbench.figures.style import BLUE, legend_below, new_figure
from gcnnbench.formatting import points
from gcnnbench.leaderboard.board import ACCURACIES, Board, Contrast, Pair
from gcnnbench.statistics import ALPHA

Line = tuple[Board, Pair]


def draw_pairs(boards: Sequence[Board]) -> Drawing:
    """A line for each pair and a panel for each metric.

    Raises:
        UserError: no pair has records on both sides.
    """
    lines = [(board, pair) for board in boards for pair in board.pairs if pair.contrasts]
    if not lines:
        raise UserError("there is no pair of an exact and an approximate network with records to draw")
    metrics = [name for name in ACCURACIES if any(_contrast(pair, name) for _, pair in lines)]
    titles = len({board.benchmark for board, _ in lines})
    figure = new_figure(1.2 + 0.22 * (len(lines) + titles))
    panels = figure.subplots(1, len(metrics), sharey=True, squeeze=False)[0]
    places = _places(lines)
    for panel, metric in zip(panels, metrics, strict=True):
        for line, place in places.items():
            found = _contrast(lines[line][1], metric)
            if found:
                _mark(panel, place, found)
        panel.axvline(0, color="black", linewidth=0.8, zorder=1)
        panel.set_title(metric.removeprefix("accuracy.").replace("_", " "))
        panel.grid(visible=False, axis="y")
        panel.set_xlabel("points")
    labels = [mathtext(_label(lines[line][1])) for line in places]
    panels[0].set_yticks(list(places.values()), labels)
    panels[0].set_ylim(max(places.values()) + 0.6, min(places.values()) - 1.4)
    for board, top in _tops(lines, places).items():
        panels[0].text(
            -0.07, top, board, transform=panels[0].get_yaxis_transform(), ha="right", va="center", weight="bold"
        )
    legend_below(figure, _key(found for _, pair in lines for found in pair.contrasts))
    return Drawing(figure, "Exact minus approximate", _caption(lines), _alt(lines))


def _key(contrasts: Iterable[Contrast]) -> list[Line2D]:
    """What the marks that were drawn mean."""
    marks = {_kind(found) for found in contrasts}
    words = {"told": f"told from zero at {ALPHA} (Holm)", "open": "not told from zero", "single": "no interval"}
    return [
        Line2D([], [], color=BLUE, linestyle="none", label=word, **_look(kind))
        for kind, word in words.items()
        if kind in marks
    ]


def _kind(found: Contrast) -> str:
    if found.ci95 is None:
        return "single"
    return "told" if found.p_holm is not None and found.p_holm < ALPHA else "open"


def _look(kind: str) -> dict[str, Any]:
    """Filled where told from zero after Holm's adjustment, open where not, a cross where no interval is known."""
    if kind == "single":
        return {"marker": "x", "markersize": 5}
    return {"marker": "o", "markerfacecolor": BLUE if kind == "told" else "white"}


def _places(lines: Sequence[Line]) -> dict[int, float]:
    """The height of each line; a benchmark's name stands above its first one."""
    found, height, above = {}, 0.0, None
    for number, (board, _) in enumerate(lines):
        height += 1.0 if board is above or above is None else 2.0
        above = board
        found[number] = height
    return found


def _tops(lines: Sequence[Line], places: dict[int, float]) -> dict[str, float]:
    found: dict[str, float] = {}
    for number, place in places.items():
        found.setdefault(lines[number][0].benchmark, place - 1.0)
    return found


def _contrast(pair: Pair, metric: str) -> Contrast | None:
    return next((found for found in pair.contrasts if found.metric == metric), None)


def _mark(axes: Axes, place: float, found: Contrast) -> None:
    difference, look = 100 * found.difference, _look(_kind(found))
    if found.ci95 is None:
        axes.plot([difference], [place], linestyle="none", color=BLUE, zorder=3, **look)
        return
    ends = [[abs(100 * end - difference)] for end in found.ci95]
    axes.errorbar(difference, place, xerr=ends, color=BLUE, linestyle="none", capsize=3, zorder=3, **look)


def _label(pair: Pair) -> str:
    return f"{pair.name} (n = {pair.contrasts[0].seeds})"


def _caption(lines: Sequence[Line]) -> str:
    single = any(found.ci95 is None for _, pair in lines for found in pair.contrasts)
    benchmarks = ", ".join(dict.fromkeys(board.benchmark for board, _ in lines))
    folds = any(board.cross_tested for board, _ in lines)
    paired = ", on cross-tested benchmarks Student's over the folds of both" if folds else ""
    alone = " Crosses: no interval, as one side is one run or neither has any spread." if single else ""
    return (
        f"Accuracy of the exact minus that of the approximate network of one architecture on {benchmarks}, in "
        f"percentage points, with Welch's 95% interval over seeds (n in brackets){paired}. Filled: told from zero at "
        f"{ALPHA} after Holm's adjustment over the pairs of the benchmark; open: not.{alone}"
    )


def _alt(lines: Sequence[Line]) -> str:
    told = []
    for board, pair in lines:
        numbers = ", ".join(
            f"{found.metric.removeprefix('accuracy.')} {points(found.difference, 1)}" for found in pair.contrasts
        )
        told.append(f"{board.benchmark} {_label(pair)}: {numbers}.")
    return f"Dot plot of differences in percentage points. {' '.join(told)}"
