"""Figure of a Lie derivative by kind of layer: the share that convolutions, norms, nonlinearities and pools have."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gcnnbench.equivariance.contributions import Decomposition
from gcnnbench.errors import UserError
from gcnnbench.escaping import mathtext
from gcnnbench.figures.drawing import write_figure
from gcnnbench.figures.style import BLUE, GREEN, VERMILION, legend_below, new_figure, styled

COLOURS = {"rotation": BLUE, "translation-x": VERMILION, "translation-y": GREEN}
BAR = 0.8


def shares_by_kind(found: Decomposition) -> dict[str, float]:
    """The summed shares of each class of layers and of what lies between them; together one."""
    shares: dict[str, float] = {}
    for one in (*found.contributions, found.between):
        kind = one.kind or one.layer
        shares[kind] = shares.get(kind, 0.0) + one.share
    return shares


def draw_contributions(name: str, found: Mapping[tuple[int, str], Decomposition], stem: Path) -> list[Path]:
    """Write `STEM-kinds` as SVG and PNG: a panel for each size, a bar for each kind and motion.

    Args:
        name: of the network.
        found: by size and motion.
        stem: path without a suffix.

    Raises:
        UserError: nothing was decomposed.
    """
    if not found:
        raise UserError("nothing was decomposed, so there are no contributions to draw")
    sizes, motions = (list(dict.fromkeys(key[place] for key in found)) for place in (0, 1))
    kinds = list(dict.fromkeys(kind for one in found.values() for kind in shares_by_kind(one)))
    title = f"{name}: Lie derivative by kind of layer"
    with styled():
        figure = new_figure(0.9 + 2.4 * len(sizes))
        panels = figure.subplots(len(sizes), 1, squeeze=False, sharex=True)
        for size, panel in zip(sizes, panels.flat, strict=True):
            for place, motion in enumerate(motions):
                shares = shares_by_kind(found[int(size), str(motion)])
                width = BAR / len(motions)
                where = [at + (place - (len(motions) - 1) / 2) * width for at in range(len(kinds))]
                heights = [shares.get(kind, 0.0) for kind in kinds]
                panel.bar(where, heights, width, color=COLOURS[str(motion)], label=str(motion))
            panel.axhline(0, color="black", linewidth=0.6)
            panel.set_ylabel(f"share at {size} pixels")
            panel.set_xticks(range(len(kinds)), list(map(mathtext, kinds)), rotation=30, ha="right")
        panels.flat[0].set_title(mathtext(title))
        legend_below(figure)
        return write_figure(figure, title, draw_contributions.__doc__ or title, stem.with_name(f"{stem.name}-kinds"))
