"""Every figure: legends on the canvas and off the data, colours apart, curves of three points, keys of marks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D

from gcnnbench.equivariance.audit import audit
from gcnnbench.equivariance.targets import resolve
from gcnnbench.equivariance.wording import words
from gcnnbench.figures.audit import Reading, against_depth, against_size
from gcnnbench.figures.audit import figure as audit_figure
from gcnnbench.figures.curve import draw_curve
from gcnnbench.figures.degree import draw_degree
from gcnnbench.figures.gallery import FIGURES
from gcnnbench.figures.networks import Network
from gcnnbench.figures.pairs import draw_pairs
from gcnnbench.figures.relaxation import draw_relaxation
from gcnnbench.figures.style import legend_below, looks, new_figure, styled

if TYPE_CHECKING:
    from gcnnbench.runs.record import Record
    from tests.toy_records import Toy

LONG = "a-network-with-quite-a-long-name"


def many(toy: Toy, **changes: Any) -> list[Network]:
    """Four exact and four other networks with long names, three seeds each."""
    kinds = ["exact"] * 4 + ["approximate"] * 2 + ["none"] * 2
    return [
        Network(
            f"{LONG}-{place}@28",
            kind,  # type: ignore[arg-type]
            tuple(toy.record("p4cnn@28", seed, 0.8 + 0.01 * place, 0.7, **changes) for seed in range(3)),
        )
        for place, kind in enumerate(kinds)
    ]


def at_two_angles(network: Network) -> Network:
    """Scored upright and turned once around alone."""
    records = []
    for one in network.records:
        angles = {name: one.counts.angles[name] for name in ("0", "180")}
        records.append(one.model_copy(update={"counts": one.counts.model_copy(update={"angles": angles})}))
    return Network(network.entry, network.equivariance, tuple(records))


def the_curve(toy: Toy, _: list[Record]) -> Figure:
    return draw_curve(toy.card(), many(toy), []).figure


def two_angles(toy: Toy, _: list[Record]) -> Figure:
    return draw_curve(toy.card(), [at_two_angles(network) for network in many(toy)], []).figure


def relaxation(toy: Toy, _: list[Record]) -> Figure:
    return draw_relaxation(toy.card(), many(toy)).figure


def pairs(toy: Toy, study: list[Record]) -> Figure:
    return draw_pairs([toy.board(*study)]).figure


def degree(toy: Toy, _: list[Record]) -> Figure:
    def reading(seed: int, outside: float) -> Record:
        probes = {"degree": {f"layer{place}": {"outside": outside} for place in range(4)}}
        return toy.record("p4cnn@28", seed, probes=probes)

    conditions = {f"condition-{place}": [reading(seed, 0.1 * place) for seed in (0, 1)] for place in range(6)}
    return draw_degree("toy", {"p4cnn@28": conditions}).figure


@cache
def audited() -> Reading:
    """A network at sizes at which it is exact and others: many layers, two verdicts."""
    target = resolve("p4cnn")
    found = audit(target.make, (12, 13, 15), target.group, channels=target.channels, name=f"{LONG} of {LONG}")
    return Reading(found, [words(found, row) for row in found.sizes])


def audit_size(_: Toy, __: list[Record]) -> Figure:
    return audit_figure(audited(), against_size)


def audit_depth(_: Toy, __: list[Record]) -> Figure:
    return audit_figure(audited(), against_depth)


DRAWN: dict[str, Callable[[Toy, list[Record]], Figure]] = {
    "curve": the_curve,
    "curve at two angles": two_angles,
    "relaxation": relaxation,
    "pairs": pairs,
    "degree": degree,
    "audit against size": audit_size,
    "audit against depth": audit_depth,
}


def legends(figure: Figure) -> list[Legend]:
    return [found for found in figure.findobj(Legend) if isinstance(found, Legend)]


def data_lines(axes: Axes) -> list[Line2D]:
    """Lines of data; those of a reference, as the zero of a difference, are in other coordinates; caps have no line."""
    return [
        line for line in axes.lines if line.get_transform() == axes.transData and line.get_marker() not in ("|", "_")
    ]


def misplaced(figure: Figure) -> list[str]:
    """Legends that leave the canvas or lie on an axes."""
    figure.draw_without_rendering()
    found = []
    for legend in legends(figure):
        box = legend.get_window_extent()
        if not all(
            low <= value <= high
            for value, low, high in zip(box.extents, [0, 0, 0, 0], [*figure.bbox.max] * 2, strict=True)
        ):
            found.append("off the canvas")
        found += [
            "on the data" for axes in figure.axes if axes.get_visible() and box.overlaps(axes.get_window_extent())
        ]
    return found


def alike(figure: Figure) -> list[str]:
    """Colours that two labelled things of one axes share."""
    found = []
    for axes in figure.axes:
        handles, _ = axes.get_legend_handles_labels()
        lines = [handle for handle in handles if isinstance(handle, Line2D)]
        colours = sorted(to_hex(line.get_color()) for line in lines)
        found += [one for one, other in pairwise(colours) if one == other]
    return found


def false_curves(figure: Figure) -> int:
    """Lines that join fewer than three points."""
    return sum(
        line.get_linestyle() != "None" and len(np.asarray(line.get_xdata())) < 3
        for axes in figure.axes
        for line in data_lines(axes)
    )


def without_key(figure: Figure) -> set[str]:
    """Marks that no legend explains."""
    used = {str(line.get_marker()) for axes in figure.axes for line in data_lines(axes)} - {"None", ""}
    keyed = {
        str(handle.get_marker())
        for legend in legends(figure)
        for handle in legend.findobj(Line2D)
        if isinstance(handle, Line2D)
    }
    return used - keyed


@pytest.mark.parametrize("name", DRAWN)
def test_every_figure_can_be_read(name: str, toy: Toy, study: list[Record]) -> None:
    with styled():
        figure = DRAWN[name](toy, study)
        assert legends(figure)
        assert misplaced(figure) == []
        assert alike(figure) == []
        assert false_curves(figure) == 0
        assert without_key(figure) == set()


def test_no_figure_is_left_out() -> None:
    assert set(FIGURES) <= set(DRAWN)


def test_what_cannot_be_read_is_seen() -> None:
    with styled():
        figure = new_figure(2.0)
        axes = figure.add_subplot()
        axes.plot([0, 1], [0, 1], "o-", color="black", label="one " * 60)
        axes.plot([0, 1, 2], [1, 0, 1], "s-", color="#000000", label="other")
        axes.legend(loc="lower right").set_in_layout(False)
        assert {"off the canvas", "on the data"} == set(misplaced(figure))
        assert alike(figure) == ["#000000"]
        assert false_curves(figure) == 1
        axes.legend_ = None
        figure.legend(handles=axes.lines[:1])
        assert without_key(figure) == {"s"}


def test_looks_do_not_repeat_a_colour() -> None:
    found = looks((f"{kind}-{place}", kind) for kind in ("exact", "approximate", "none") for place in range(9))
    assert len({look.colour for look in found.values()}) == 27
    assert len(looks((str(place), "unknown") for place in range(40))) == 40


def test_a_legend_takes_as_many_columns_as_fit() -> None:
    with styled():
        figure = new_figure(2.0)
        axes = figure.add_subplot()
        short = [axes.plot([0], [0], "o", label=str(place))[0] for place in range(6)]
        assert vars(legend_below(figure, short))["_ncols"] == 5
        for line in short:
            line.set_label(LONG * 3)
        assert vars(legend_below(figure, short))["_ncols"] == 1
