"""How much symmetry was learnt, by depth and by condition: what the probe `degree` read from the trained networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from gcnnbench.errors import UserError
from gcnnbench.escaping import mathtext
from gcnnbench.figures.drawing import Drawing, counted
from gcnnbench.figures.style import (
    BLACK,
    BLUE,
    FEWEST,
    GREEN,
    MARKS,
    ORANGE,
    PURPLE,
    VERMILION,
    legend_below,
    new_figure,
)
from gcnnbench.runs.record import Record

Readings = Mapping[str, Mapping[str, Sequence[Record]]]
"""Records by entry and condition."""
COLOURS = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, BLACK)
DASHES = ("-", (0, (5, 1.5)), (0, (1, 1.2)), "-.", (0, (3, 1, 1, 1, 1, 1)), (0, (8, 2)))
OUTSIDE, WIDTH = "outside", "width"


def draw_degree(family: str, found: Readings) -> Drawing:
    """A panel for each entry with readings: `‖K − ΠK‖ / ‖K‖` of its banks by depth, or the width that it learnt.

    Args:
        family: its name.
        found: the counted records of its benchmarks; entries without readings of `degree` are left out.

    Raises:
        UserError: no record has a reading of the probe `degree`.
    """
    banks = {entry: values for entry, here in found.items() if (values := _readings(here, OUTSIDE))}
    widths = {entry: values for entry, here in found.items() if (values := _readings(here, WIDTH))}
    if not banks and not widths:
        raise UserError(f"no record of the family {family} has a reading of the probe degree")
    conditions = list(dict.fromkeys(name for here in found.values() for name in here))
    rows = ceil((len(banks) + len(widths)) / 3)
    columns = ceil((len(banks) + len(widths)) / rows)
    figure = new_figure(0.6 + 2.1 * rows)
    panels = iter(figure.subplots(rows, columns, squeeze=False).flat)
    for entry, values in banks.items():
        _by_depth(next(panels), entry, values, conditions)
    for entry, values in widths.items():
        _by_condition(next(panels), entry, values, conditions)
    for panel in panels:
        panel.set_visible(False)
    if banks:
        lines = [_line(place, name) for place, name in enumerate(conditions)]
        legend_below(figure, lines)
    seeds = {
        f"{entry}, {condition}": len(records)
        for entry, here in found.items()
        if entry in banks or entry in widths
        for condition, records in here.items()
    }
    caption = (
        f"What networks of the family {family} learnt. Lines: the share of each filter bank that is not symmetric, "
        "‖K − ΠK‖ / ‖K‖ with the projection Π onto the equivariant banks, after training; 0 is exact, a bank drawn at "
        "random has about 0.87 between two layers of p4. Where a network turns its images: the width of its interval "
        f"of angles in radians, 2π for the whole circle. Mean over seeds, bands and bars from the smallest to the "
        f"largest; {counted(seeds)}."
    )
    return Drawing(figure, f"Learnt degree of symmetry in {family}", caption, _alt(family, banks, widths))


Values = dict[str, dict[str, list[float]]]
"""By condition and module, one value a seed."""


def _readings(by_condition: Mapping[str, Sequence[Record]], quantity: str) -> Values:
    values: Values = {}
    for condition, records in by_condition.items():
        for record in records:
            for module, reading in ((record.probes or {}).get("degree") or {}).items():
                if quantity in reading:
                    values.setdefault(condition, {}).setdefault(module, []).append(float(reading[quantity]))
    return values


def _line(place: int, label: str) -> Line2D:
    look = {"color": COLOURS[place % 6], "linestyle": DASHES[place % 6], "marker": MARKS[place % len(MARKS)]}
    return Line2D([], [], label=mathtext(label), **look)  # type: ignore[arg-type]


def _by_depth(axes: Axes, entry: str, values: Values, conditions: Sequence[str]) -> None:
    modules = list(dict.fromkeys(module for here in values.values() for module in here))
    places = np.arange(len(modules))
    for condition, here in values.items():
        look = _line(conditions.index(condition), condition)
        means = [float(np.mean(here[module])) for module in modules]
        axes.plot(
            places,
            means,
            color=look.get_color(),
            linestyle=look.get_linestyle() if len(modules) >= FEWEST else "none",
            marker=look.get_marker(),
        )
        if max(map(len, here.values())) > 1 and len(modules) >= FEWEST:
            low, high = ([end(here[module]) for module in modules] for end in (min, max))
            axes.fill_between(places, low, high, color=look.get_color(), alpha=0.15, linewidth=0)
    axes.set_ylim(-0.03, 1.03)
    axes.set_xticks(places, list(map(mathtext, modules)), rotation=90)
    axes.set_ylabel("‖K − ΠK‖ / ‖K‖")
    axes.set_title(mathtext(entry))


def _by_condition(axes: Axes, entry: str, values: Values, conditions: Sequence[str]) -> None:
    here = {condition: next(iter(values[condition].values())) for condition in conditions if condition in values}
    for place, (condition, widths) in enumerate(here.items()):
        look = _line(conditions.index(condition), condition)
        mean = float(np.mean(widths))
        ends = [[mean - min(widths)], [max(widths) - mean]]
        axes.errorbar(place, mean, yerr=ends, color=look.get_color(), marker=look.get_marker(), linestyle="none")
    axes.set_ylim(0, 1.05 * max(2 * np.pi, *map(max, here.values())))
    axes.set_xlim(-0.5, len(here) - 0.5)
    axes.set_xticks(range(len(here)), list(map(mathtext, here)), rotation=90)
    axes.set_ylabel("width in radians")
    axes.set_title(mathtext(entry))


def _alt(family: str, banks: Mapping[str, Values], widths: Mapping[str, Values]) -> str:
    told = []
    for entry, values in {**banks, **widths}.items():
        by_condition = ((name, [one for module in here.values() for one in module]) for name, here in values.items())
        told.append(f"{entry}: " + ", ".join(f"{np.mean(every):.2f} ({name})" for name, every in by_condition))
    return f"Charts of learnt symmetry in {family}, one panel a network; means over depths: {'; '.join(told)}."
