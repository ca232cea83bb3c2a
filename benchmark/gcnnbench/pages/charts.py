"""Line charts of a benchmark's records as numbers: accuracy over angle, and equivariance error over depth."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log10
from typing import Any

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.claims.claims import ClaimsCard
from gcnnbench.figures.curve import Curve, measured, published
from gcnnbench.figures.networks import Network
from gcnnbench.figures.relaxation import FLOOR, errors
from gcnnbench.figures.style import FEWEST
from gcnnbench.formatting import NOTHING, float64_error, percent

WIDTH, HEIGHT = 680, 380
LEFT, RIGHT, TOP, BOTTOM = 80, 16, 20, 48
"""Places are whole numbers, about two to a pixel of a desk's screen."""
MOST = 24
"""Networks of a benchmark whose charts are drawn: those that come first."""
LOWEST = 1e-16
"""Errors below stand at the foot of an error chart: they are rounding."""


@dataclass(frozen=True)
class Line:
    """A line of a chart: its class (`ours`, `published`, `before`, `after`), it and its band as SVG paths, and words.

    `values` says of each place what stands there, for readers.
    """

    kind: str
    label: str
    path: str
    band: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Axes:
    """What many charts share: `unit` against `over`, ticks as (place, label), and the places and labels of points."""

    over: str
    unit: str
    across: tuple[tuple[int, str], ...]
    up: tuple[tuple[int, str], ...]
    xs: tuple[int, ...]
    places: tuple[str, ...]


@dataclass(frozen=True)
class Chart:
    """A chart of one network."""

    entry: str
    equivariance: str
    axes: Axes
    lines: tuple[Line, ...]


def curve_charts(card: BenchmarkCard, networks: Sequence[Network], claims: Sequence[ClaimsCard]) -> Iterator[Chart]:
    """Accuracy against rotation angle of each network with records, over its published curve where there is one.

    A few angles are no curve: they stand in the table.
    """
    if len(card.evaluation.curve.angles) < FEWEST:
        return
    theirs = published(card, claims)
    found: dict[str, list[tuple[str, str, Curve]]] = {}
    for network in networks:
        if not network.records:
            continue
        found[network.entry] = [("ours", f"ours, n = {len(network.records)}", measured(network))]
        if network.entry in theirs:
            curve, source = theirs[network.entry]
            n = next(iter(curve.values())).n
            found[network.entry].insert(0, ("published", f"{source}, n = {n}", curve))
    means = [point.mean for curves in found.values() for _, _, curve in curves for point in curve.values()]
    low = int(10 * max(0.0, min(means, default=0.0) - 0.02)) * 10
    for network in networks:
        if network.entry in found:
            yield _curve_chart(card, network, found[network.entry], low)


def _curve_chart(card: BenchmarkCard, network: Network, curves: Sequence[tuple[str, str, Curve]], low: int) -> Chart:
    """All charts of a benchmark begin at the same accuracy, `low` in per cent, so that they can be compared."""
    angles = card.evaluation.curve.angles
    return Chart(
        entry=network.entry,
        equivariance=network.equivariance,
        axes=Axes(
            over="rotation angle",
            unit="accuracy in %",
            across=tuple((_across(angle / 360), f"{angle}°") for angle in (0, 90, 180, 270)),
            up=tuple(
                (_up((tick - low) / (100 - low)), str(tick)) for tick in range(100, low - 1, -10 if low > 30 else -20)
            ),
            xs=tuple(_across(angle / 360) for angle in angles),
            places=tuple(f"{angle}°" for angle in angles),
        ),
        lines=tuple(_curve_line(kind, label, curve, angles, low) for kind, label, curve in curves),
    )


def _curve_line(kind: str, label: str, curve: Curve, angles: Sequence[int], low: int) -> Line:
    def line(side: int) -> list[tuple[int, int]]:
        shares = {angle: (100 * (point.mean + side * (point.std or 0)) - low) for angle, point in curve.items()}
        return [(_across(angle / 360), _up(share / (100 - low))) for angle, share in shares.items()]

    return Line(
        kind=kind,
        label=label,
        path=_path(line(0)),
        band=_path([*line(1), *reversed(line(-1))]) if any(point.std for point in curve.values()) else "",
        values=tuple(percent(curve[angle], 1) if angle in curve else NOTHING for angle in angles),
    )


def error_charts(networks: Sequence[Network]) -> Iterator[Chart]:
    """Relative equivariance error at each depth and at the logits, before and after training; mean of logarithms."""
    for network in networks:
        if not network.records:
            continue
        before = [errors(record.equivariance.before) for record in network.records]
        after = [errors(record.equivariance.after) for record in network.records]
        depths = tuple(after[0])
        if len(depths) < 2:
            continue
        xs = tuple(_across(place / (len(depths) - 1)) for place in range(len(depths)))
        yield Chart(
            entry=network.entry,
            equivariance=network.equivariance,
            axes=Axes(
                over="depth",
                unit="relative equivariance error",
                across=((xs[0], depths[0]), (xs[-1], depths[-1])),
                up=tuple((_decade(10.0**power), f"1e{power}") for power in (0, -4, -8, -12, -16)),
                xs=xs,
                places=depths,
            ),
            lines=(
                _error_line("before", "before training", before, depths, xs),
                _error_line("after", f"after training, n = {len(after)}", after, depths, xs),
            ),
        )


def _error_line(
    kind: str, label: str, found: Sequence[Mapping[str, float]], depths: Sequence[str], xs: Sequence[int]
) -> Line:
    logs = [[log10(max(one.get(depth, FLOOR), FLOOR)) for one in found] for depth in depths]
    means = [10 ** (sum(here) / len(here)) for here in logs]
    ends = [[(x, _decade(10 ** end(here))) for x, here in zip(xs, logs, strict=True)] for end in (max, min)]
    return Line(
        kind=kind,
        label=label,
        path=_path([(x, _decade(mean)) for x, mean in zip(xs, means, strict=True)]),
        band=_path([*ends[0], *reversed(ends[1])]) if len(found) > 1 else "",
        values=tuple(map(float64_error, means)),
    )


def numbered(charts: Iterable[Chart]) -> dict[Axes, int]:
    """The axes of charts, each once, in order."""
    return {axes: number for number, axes in enumerate(dict.fromkeys(chart.axes for chart in charts))}


def readings(charts: Iterable[Chart], axes: Mapping[Axes, int]) -> dict[str, Any]:
    """What readers of each chart are told at its places, as JSON has it: number of its axes, values of its lines."""
    return {
        "axes": [{"over": one.over, "xs": one.xs, "places": one.places} for one in axes],
        "charts": [{"axes": axes[chart.axes], "lines": [line.values for line in chart.lines]} for chart in charts],
    }


def _across(share: float) -> int:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT))


def _up(share: float) -> int:
    return round(HEIGHT - BOTTOM - min(max(share, 0.0), 1.0) * (HEIGHT - TOP - BOTTOM))


def _decade(error: float) -> int:
    return _up(1 + log10(max(error, LOWEST)) / 16)


def _path(points: Sequence[tuple[int, int]]) -> str:
    """A path through points: the first one, then the step from each to the next."""
    (left, top), *_ = points
    steps = [f"{x - before} {y - above}" for (before, above), (x, y) in pairwise(points)]
    return f"M{left} {top}l{' '.join(steps)}".replace(" -", "-")
