"""Equivariance error against depth, before and after training."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log10

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.equivariance.results import EquivarianceState
from gcnnbench.errors import UserError
from gcnnbench.escaping import mathtext
from gcnnbench.figures.drawing import Drawing, counted
from gcnnbench.figures.networks import Network
from gcnnbench.figures.style import DARK, FEWEST, GREY, Look, joined, legend_below, looks, new_figure

FLOOR = 1e-18
"""Errors of zero stand here."""
KNEE = 1e-4
SQUEEZE = 5.0
"""Below the knee a decade takes this much less room: there is nothing but rounding."""
DASHED = (0, (2, 1.5))
TICKS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-9, 1e-14)


def draw_relaxation(card: BenchmarkCard, networks: Sequence[Network]) -> Drawing:
    """A panel for each network with a record: its relative error at every depth and at the logits.

    Raises:
        UserError: there is no record to draw.
    """
    shown = [network for network in networks if network.records]
    if not shown:
        raise UserError(f"{card.full_name} has no record to draw: {card.how_to_run()}")
    look = looks((network.entry, network.equivariance) for network in shown)
    rows = ceil(len(shown) / 4)
    columns = ceil(len(shown) / rows)
    figure = new_figure(0.5 + 2.2 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for panel, network in zip(panels.flat, shown, strict=False):
        _panel(panel, network, look[network.entry])
    for panel in panels.flat[len(shown) :]:
        panel.set_visible(False)
    for row in panels:
        row[0].set_ylabel("relative equivariance error")
    before = Line2D([], [], color=DARK, marker="o", linestyle=DASHED, markerfacecolor="white", label="before training")
    after = Line2D([], [], color=DARK, marker="o", linestyle="-", label="after training")
    legend_below(figure, [before, after])
    return Drawing(
        figure,
        f"Equivariance error against depth on {card.full_name}, before and after training",
        _caption(card, shown),
        _alt(card, shown),
    )


def errors(state: EquivarianceState) -> dict[str, float]:
    """The relative error by depth, the logits last; depths without one are left out."""
    found = {depth.depth: depth.relative for depth in state.depths} | {"logits": state.invariance_error}
    return {depth: error for depth, error in found.items() if error is not None}


def _panel(axes: Axes, network: Network, look: Look) -> None:
    before = [errors(record.equivariance.before) for record in network.records]
    trained = [errors(record.equivariance.after) for record in network.records]
    depths = list(trained[0])
    places = np.arange(len(depths))
    for after, found in ((False, before), (True, trained)):
        logs = np.array([[log10(max(one.get(depth, FLOOR), FLOOR)) for depth in depths] for one in found])
        axes.plot(
            places,
            10 ** logs.mean(axis=0),
            color=look.colour,
            linestyle=joined("-" if after else DASHED, len(depths)),
            marker="o",
            markerfacecolor=look.colour if after else "white",
            zorder=3 if after else 2,
        )
        if len(found) > 1 and len(depths) >= FEWEST:
            axes.fill_between(
                places, 10 ** logs.min(axis=0), 10 ** logs.max(axis=0), color=look.colour, alpha=0.3 if after else 0.12
            )
    axes.set_yscale("function", functions=(_squeezed, _stretched))
    axes.set_ylim(FLOOR, 4)
    axes.set_yticks(TICKS, [f"$10^{{{round(log10(tick))}}}$" if tick < 1 else "1" for tick in TICKS])
    axes.axhspan(FLOOR, 1e-9, color=GREY, alpha=0.12, linewidth=0)
    axes.set_xticks(places, list(map(mathtext, depths)), rotation=90)
    axes.set_title(mathtext(network.label).replace(", ", "\n") + f", n = {len(network.records)}")


def _squeezed(error: NDArray[np.float64]) -> NDArray[np.float64]:
    """Decades, those below the knee drawn together."""
    decades = np.log10(np.maximum(error, FLOOR)) - log10(KNEE)
    return np.where(decades > 0, decades, decades / SQUEEZE)


def _stretched(place: NDArray[np.float64]) -> NDArray[np.float64]:
    """The inverse of `_squeezed`."""
    return np.asarray(KNEE * 10 ** np.where(place > 0, place, place * SQUEEZE))


def _caption(card: BenchmarkCard, shown: Sequence[Network]) -> str:
    images = shown[0].records[0].equivariance.images
    dtype = shown[0].records[0].equivariance.after.dtype
    numbers = {network.entry: len(network.records) for network in shown}
    return (
        f"Relative equivariance error at each depth and invariance error at the logits of the networks of "
        f"{card.full_name}, on {images} test images in {dtype}, before training (open marks, dashed) and after "
        f"(filled, solid). Lines: geometric mean over seeds; bands: from the smallest to the largest seed; "
        f"{counted(numbers)}. The axis is logarithmic and drawn together below 10⁻⁴; shaded: rounding."
    )


def _alt(card: BenchmarkCard, shown: Sequence[Network]) -> str:
    lines = []
    for network in shown:
        states = [(errors(one.equivariance.before), errors(one.equivariance.after)) for one in network.records]
        depth = [name for name in states[0][1] if name != "logits"][-1:] or ["logits"]
        before, after = (max(state[side].get(depth[0], FLOOR) for state in states) for side in (0, 1))
        lines.append(f"{network.label}: largest error at {depth[0]} {before:.1e} before training, {after:.1e} after.")
    return (
        f"Line charts of equivariance error against depth on {card.full_name}, one panel a network. {' '.join(lines)}"
    )
