"""Accuracy against rotation angle: ours with its band over seeds, over the published curve and its band."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.claims.claims import ClaimsCard, CurveClaim
from gcnnbench.errors import UserError
from gcnnbench.escaping import mathtext
from gcnnbench.figures.drawing import Drawing, counted
from gcnnbench.figures.networks import Network
from gcnnbench.figures.style import DARK, FEWEST, GREY, Look, legend_below, looks, new_figure
from gcnnbench.formatting import share
from gcnnbench.scoring.metrics import angle_accuracies
from gcnnbench.statistics import Summary, summary

Curve = dict[int, Summary]
"""Accuracy by angle in degrees, as fractions."""


def draw_curve(card: BenchmarkCard, networks: Sequence[Network], claims: Sequence[ClaimsCard]) -> Drawing:
    """All networks together, and each beside its published curve where there is one.

    Raises:
        UserError: there is neither a record nor a published curve to draw.
    """
    ours = {network.entry: measured(network) for network in networks if network.records}
    theirs = published(card, claims)
    shown = [network for network in networks if network.entry in ours or network.entry in theirs]
    if not ours:
        raise UserError(f"{card.full_name} has no record to draw: {card.how_to_run()}")
    beside = [network for network in shown if network.entry in theirs]
    look = looks((network.entry, network.equivariance) for network in shown)
    figure = new_figure(2.9 + (2.2 if beside else 0.0))
    rows = figure.subfigures(2 if beside else 1, 1, height_ratios=[2.9, 2.2][: 2 if beside else 1], squeeze=False)[:, 0]
    run = [network for network in shown if network.entry in ours]
    _together(rows[0].add_subplot(), run, ours, look)
    legend_below(rows[0], fontsize=7)
    if beside:
        panels = rows[1].subplots(1, len(beside), sharey=True, squeeze=False)[0]
        for panel, network in zip(panels, beside, strict=True):
            _beside(panel, ours.get(network.entry), theirs[network.entry][0], look[network.entry])
            panel.set_title(mathtext(network.label).replace(", ", "\n"))
        panels[0].set_ylabel("accuracy in %")
        rows[1].suptitle("Ours over the published curve (solid grey, with its band)", fontsize=8)
    return Drawing(
        figure,
        f"Accuracy against rotation angle on {card.full_name}",
        _caption(card, shown, ours, theirs),
        _alt(card, shown, ours),
    )


def measured(network: Network) -> Curve:
    """The mean accuracy of a network's seeds at each angle, with its spread."""
    curves = [angle_accuracies(record.counts) for record in network.records]
    return {angle: summary([curve[angle] for curve in curves]) for angle in curves[0]}


def published(card: BenchmarkCard, claims: Sequence[ClaimsCard]) -> dict[str, tuple[Curve, str]]:
    """The published curve of each entry and its source."""
    return {
        claim.entry: (dict(zip(claim.at, claim.published, strict=True)), source.source)
        for source in claims
        for claim in source.claims
        if isinstance(claim, CurveClaim) and claim.quantity == "accuracy.angle" and claim.benchmark == card.name
    }


def _together(axes: Axes, networks: Sequence[Network], ours: Mapping[str, Curve], look: Mapping[str, Look]) -> None:
    for place, network in enumerate(networks):
        label = mathtext(f"{network.label} (n = {len(network.records)})")
        curve = ours[network.entry]
        if len(curve) < FEWEST:
            _points(axes, curve, look[network.entry], label, 4.0 * (place - (len(networks) - 1) / 2))
        else:
            _line(axes, curve, look[network.entry], label)
    _angles(axes, 45)
    if few := [list(ours[network.entry]) for network in networks if len(ours[network.entry]) < FEWEST]:
        axes.set_xticks(few[0])
        axes.set_xlim(min(few[0]) - 60, max(few[0]) + 60)
    axes.set_ylabel("accuracy in %")
    axes.set_xlabel("rotation of the test images in degrees")


def _beside(axes: Axes, ours: Curve | None, theirs: Curve, look: Look) -> None:
    angles = list(theirs)
    low, high = ([100 * (point.mean + side * (point.std or 0)) for point in theirs.values()] for side in (-1, 1))
    axes.fill_between(angles, low, high, color=GREY, alpha=0.35, linewidth=0)
    axes.plot(angles, [100 * point.mean for point in theirs.values()], color=GREY, linewidth=0.8)
    if ours:
        _line(axes, ours, look)
    else:
        paper = {"facecolor": "white", "edgecolor": "none"}  # the published curve runs anywhere
        axes.text(0.5, 0.5, "ours: not run", transform=axes.transAxes, ha="center", color=DARK, bbox=paper)
    _angles(axes, 90)
    axes.set_xlabel("degrees")


def _line(axes: Axes, curve: Curve, look: Look, label: str | None = None) -> None:
    """The mean with its band; with a label also with marks."""
    angles = list(curve)
    means = [100 * point.mean for point in curve.values()]
    every = max(1, len(angles) // 12)
    marks: dict[str, Any] = {"marker": look.mark, "markevery": (look.place % every, every)} if label else {}
    axes.plot(angles, means, color=look.colour, linestyle=look.line, label=label, zorder=3, **marks)
    spreads = [point.std for point in curve.values()]
    if None not in spreads:
        low, high = (
            [mean + side * 100 * (std or 0) for mean, std in zip(means, spreads, strict=True)] for side in (-1, 1)
        )
        axes.fill_between(angles, low, high, color=look.colour, alpha=0.2, linewidth=0, zorder=2)


def _points(axes: Axes, curve: Curve, look: Look, label: str, aside: float) -> None:
    """The means at too few angles for a curve, with one deviation to either side; networks stand side by side."""
    angles = [angle + aside for angle in curve]
    means = [100 * point.mean for point in curve.values()]
    spreads = [100 * (point.std or 0) for point in curve.values()]
    axes.errorbar(angles, means, yerr=spreads, fmt=look.mark, color=look.colour, label=label, zorder=3)


def _angles(axes: Axes, step: int) -> None:
    axes.set_xlim(-8, 358)
    axes.set_xticks(range(0, 360, step))


def _caption(
    card: BenchmarkCard, shown: Sequence[Network], ours: Mapping[str, Curve], theirs: Mapping[str, tuple[Curve, str]]
) -> str:
    numbers = {network.entry: len(network.records) for network in shown if network.entry in ours}
    told = (
        f"Accuracy on the test images of {card.full_name}, rotated by 0 to {card.evaluation.curve.angles[-1]} degrees "
        f"in steps of {card.evaluation.curve.step} (bilinear). Lines: mean over seeds; bands: one sample standard "
        f"deviation (ddof = 1) to either side; {counted(numbers)}."
    )
    if theirs:
        sources = ", ".join(dict.fromkeys(source for _, source in theirs.values()))
        runs = sorted({point.n for curve, _ in theirs.values() for point in curve.values()})
        told += (
            f" Below, behind ours: the published mean (solid grey) and one sample standard deviation to either side "
            f"({sources}; n = {', '.join(map(str, runs))})."
        )
    return told


def _alt(card: BenchmarkCard, shown: Sequence[Network], ours: Mapping[str, Curve]) -> str:
    lines = [_said(network, ours[network.entry]) for network in shown if network.entry in ours]
    return f"Line chart of accuracy against rotation angle on {card.full_name}. {' '.join(lines)}"


def _said(network: Network, curve: Curve) -> str:
    worst = min(curve, key=lambda angle: curve[angle].mean)
    told = f"{network.label}: {share(curve[0].mean, 1)} % at 0 degrees"
    turns = [f"{share(curve[turn].mean, 1)} at {turn}" for turn in (90, 180, 270) if turn in curve]
    return f"{', '.join([told, *turns])}, lowest {share(curve[worst].mean, 1)} at {worst}."
