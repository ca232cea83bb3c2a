"""Figures show the numbers of the records, can be told apart without colour, and are the same bytes each time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import FillBetweenPolyCollection
from matplotlib.container import ErrorbarContainer
from matplotlib.figure import Figure
from typer.testing import CliRunner

from gcnnbench.cards.registry import Registry
from gcnnbench.claims.claims import ClaimsCard
from gcnnbench.cli.app import build_app
from gcnnbench.errors import UserError
from gcnnbench.figures import style
from gcnnbench.figures.curve import draw_curve
from gcnnbench.figures.gallery import FIGURES, draw
from gcnnbench.figures.networks import Network, networks
from gcnnbench.figures.pairs import draw_pairs
from gcnnbench.figures.relaxation import FLOOR, draw_relaxation
from gcnnbench.runs.spec import spec, spec_digest
from gcnnbench.statistics import summary

if TYPE_CHECKING:
    from gcnnbench.runs.record import Record
    from tests.toy_records import Toy

DEPTHS = {"relu": 1e-16, "pool": 0.1}


@pytest.fixture(scope="module")
def real() -> Registry:
    return Registry.load()


@pytest.fixture
def registry(toy: Toy) -> Registry:
    return toy.registry(toy.card())


@pytest.fixture
def kept(registry: Registry, toy: Toy, study: list[Record], tmp_path: Path) -> Path:
    """The study's records with the digests of their protocol."""
    card = registry.benchmark("toy")
    for one in study:
        protocol = spec(registry, card, one.entry)
        toy.write(tmp_path, one.model_copy(update={"spec": protocol, "spec_digest": spec_digest(protocol)}))
    return tmp_path


def network(toy: Toy, entry: str, equivariance: Any, *uprights: float, **changes: Any) -> Network:
    made = [toy.record(entry, seed, upright, 0.7, **changes) for seed, upright in enumerate(uprights)]
    return Network(entry, equivariance, tuple(made))


def claims(entry: str, mean: list[float], deviation: list[float]) -> ClaimsCard:
    claim = {
        "id": "a-curve",
        "where": "arXiv 1602.07576, Figure 1",
        "standing": "first-hand",
        "benchmark": "toy",
        "kind": "curve",
        "entry": entry,
        "quantity": "accuracy.angle",
        "at": [0, 90, 180, 270],
        "mean": mean,
        "deviation": deviation,
        "deviation_kind": "sample",
        "unit": "accuracy-percent",
        "runs": 10,
        "tolerance": "curve",
    }
    card = {
        "source": "somebody",
        "title": "A study",
        "summary": "Some curves.",
        "tolerances": {"curve": {"points": 1.0, "because": "it is made up"}},
        "claims": [claim],
    }
    return ClaimsCard.model_validate_json(json.dumps(card))


def panels(figure: Figure) -> list[Axes]:
    return list(figure.axes)


def heights(axes: Axes, line: int = 0) -> list[float]:
    return [float(value) for value in np.asarray(axes.lines[line].get_ydata())]


def bands(axes: Axes) -> list[tuple[float, float]]:
    """The lowest and highest point of each band at the angle 0."""
    found = []
    for band in axes.collections:
        if isinstance(band, FillBetweenPolyCollection):
            corners = np.asarray(band.get_paths()[0].vertices)
            at = corners[corners[:, 0] == 0][:, 1]
            found.append((float(at.min()), float(at.max())))
    return found


def test_the_curve_is_the_mean_over_seeds_with_one_deviation_to_either_side(toy: Toy) -> None:
    three = network(toy, "p4cnn@28", "exact", 0.90, 0.92, 0.94)
    drawing = draw_curve(toy.card(), [three], [])
    (axes,) = panels(drawing.figure)
    found = summary([0.90, 0.92, 0.94])
    assert found.std is not None
    assert heights(axes)[0] == pytest.approx(100 * found.mean)
    assert heights(axes)[1] == pytest.approx(100 * summary([0.80, 0.81, 0.82]).mean)
    assert bands(axes) == [pytest.approx((100 * (found.mean - found.std), 100 * (found.mean + found.std)))]
    assert "one sample standard deviation (ddof = 1) to either side; n = 3 each." in drawing.caption
    assert "p4cnn@28, exact: 92.0 % at 0 degrees, 81.0 at 90" in drawing.alt


def test_one_run_has_no_band_and_says_so(toy: Toy) -> None:
    several = [network(toy, "p4cnn@28", "exact", 0.9, 0.92), network(toy, "p4cnn@27", "approximate", 0.97)]
    drawing = draw_curve(toy.card(), several, [])
    assert len(bands(panels(drawing.figure)[0])) == 1
    assert "n = 2 (p4cnn@28), 1 (p4cnn@27); n = 1 is one run and has no band" in drawing.caption


def test_ours_stands_over_the_published_curve_and_its_band(toy: Toy) -> None:
    ours = [network(toy, "p4cnn@28", "exact", 0.9, 0.92), Network("p4cnn@27", "approximate", ())]
    card = claims("p4cnn@28", [91.0, 80.0, 80.0, 80.0], [0.5, 1.0, 1.0, 1.0])
    drawing = draw_curve(toy.card(), ours, [card])
    together, beside = panels(drawing.figure)
    assert len(together.lines) == 1
    assert heights(beside, 0) == pytest.approx([91.0, 80.0, 80.0, 80.0])
    assert heights(beside, 1)[0] == pytest.approx(91.0)
    assert bands(beside)[0] == pytest.approx((90.5, 91.5))
    assert beside.lines[1].get_zorder() > beside.lines[0].get_zorder()
    assert "(somebody; n = 10)" in drawing.caption
    unrun = draw_curve(toy.card(), ours, [claims("p4cnn@27", [91.0, 80.0, 80.0, 80.0], [0.5] * 4)])
    assert [text.get_text() for text in panels(unrun.figure)[1].texts] == ["ours: not run"]


def state(scale: float) -> dict[str, Any]:
    depths = [{"depth": name, "paper": error, "relative": error * scale} for name, error in DEPTHS.items()]
    return {"depths": depths, "invariance_error": 0.0, "flips": 0.0, "dtype": "float64"}


def trained(toy: Toy, entry: str, equivariance: Any, *scales: float) -> Network:
    """A network whose error grows by these factors in training, a seed each."""
    records = [
        toy.record(entry, seed, equivariance={"images": 8, "before": state(1), "after": state(scale), "relaxation": {}})
        for seed, scale in enumerate(scales)
    ]
    return Network(entry, equivariance, tuple(records))


def test_relaxation_shows_both_states_at_every_depth(toy: Toy) -> None:
    drawing = draw_relaxation(toy.card(), [trained(toy, "p4cnn@27", "approximate", 2.0, 8.0)])
    axes = panels(drawing.figure)[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["relu", "pool", "logits"]
    assert heights(axes, 0) == pytest.approx([1e-16, 0.1, FLOOR])
    assert heights(axes, 1) == pytest.approx([4e-16, 0.4, FLOOR])
    after = axes.collections[1]
    assert isinstance(after, FillBetweenPolyCollection)
    at_pool = [y for x, y in np.asarray(after.get_paths()[0].vertices) if x == 1]
    assert (min(at_pool), max(at_pool)) == pytest.approx((0.2, 0.8))
    assert "geometric mean over seeds; bands: from the smallest to the largest seed; n = 2 each." in drawing.caption
    assert "largest error at pool 1.0e-01 before training, 8.0e-01 after" in drawing.alt


def test_the_axis_of_errors_is_turned_back_exactly(toy: Toy) -> None:
    axes = panels(draw_relaxation(toy.card(), [trained(toy, "p4cnn@27", "approximate", 2.0)]).figure)[0]
    there = axes.transScale.transform([(0.0, error) for error in (1e-17, 1e-9, 1e-4, 1e-2, 1.0)])
    back = axes.transScale.inverted().transform(there)[:, 1]
    assert back == pytest.approx([1e-17, 1e-9, 1e-4, 1e-2, 1.0], rel=1e-9)
    assert list(there[:, 1]) == sorted(there[:, 1])


def test_pairs_show_each_difference_with_its_interval(toy: Toy, study: list[Record]) -> None:
    near = [toy.record("p4cnn@29", s, 0.94 + 0.01 * s, 0.7, exactness=("approximate",) * 2) for s in range(3)]
    board = toy.board(*[one for one in study if one.entry != "p4cnn@29"], *near)
    drawing = draw_pairs([board])
    upright = panels(drawing.figure)[0]
    contrasts = [pair.contrasts[0] for pair in board.pairs]
    assert all(found.metric == "accuracy.upright" and found.ci95 for found in contrasts)
    bars = [bar for bar in upright.containers if isinstance(bar, ErrorbarContainer)]
    points = [bar.lines[0] for bar in bars]
    for bar, point, found in zip(bars, points, contrasts, strict=True):
        (span,) = bar.lines[2]
        assert list(span.get_segments()[0][:, 0]) == pytest.approx([100 * end for end in found.ci95 or ()])
        assert list(np.asarray(point.get_xdata())) == pytest.approx([100 * found.difference])
        separates = found.p_holm is not None and found.p_holm < 0.05
        assert (point.get_markerfacecolor() != "white") == separates
    assert [point.get_markerfacecolor() == "white" for point in points] == [False, True]
    assert [label.get_text() for label in upright.get_yticklabels()] == [
        "p4cnn@28 − 27 (n = 3)",
        "p4cnn@28 − 29 (n = 3)",
    ]


def test_a_pair_of_single_runs_is_a_cross_without_interval(toy: Toy, study: list[Record]) -> None:
    drawing = draw_pairs([toy.board(*[one for one in study if one.seed == 0])])
    assert {line.get_marker() for line in panels(drawing.figure)[0].lines[:2]} == {"x"}
    assert "Crosses: no interval" in drawing.caption


def test_networks_differ_in_line_or_mark_not_in_colour_alone() -> None:
    many = [(f"a{i}@28", kind) for kind in ("exact", "approximate", "none", "unknown") for i in range(2)]
    found = style.looks([(name + kind, kind) for name, kind in many])
    assert len({(look.line, look.mark) for look in found.values()}) == len(many)
    assert len({look.line for look in found.values()}) == 4


def test_exact_networks_come_first_and_those_without_records_by_their_cards(
    registry: Registry, kept: Path, toy: Toy
) -> None:
    for path in (kept / "toy@2" / "p4cnn@29").iterdir():
        path.unlink()
    found = networks(registry, kept, registry.benchmark("toy"))
    assert [(one.entry, one.equivariance, len(one.records)) for one in found] == [
        ("p4cnn@28", "exact", 3),
        ("p4cnn@27", "approximate", 3),
        ("p4cnn@29", "approximate", 0),
        ("z2cnn@28", "none", 3),
    ]


@pytest.mark.parametrize("name", ["curve", "pairs"])
def test_made_twice_a_figure_is_the_same_bytes(
    registry: Registry, kept: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gcnnbench.figures.gallery.read_claims", lambda _: [])
    one = draw(registry, kept, name, "toy", tmp_path / "one")
    monkeypatch.setitem(__import__("matplotlib").rcParams, "axes.facecolor", "red")  # a user's own configuration
    two = draw(registry, kept, name, "toy", tmp_path / "two")
    assert {path.name for path in one.files} == {f"toy@2-{name}.svg", f"toy@2-{name}.png"}
    for first, second in zip(one.files, two.files, strict=True):
        assert first.read_bytes() == second.read_bytes()
    drawn = one.files[0].read_text("utf-8")
    assert "<dc:date>" not in drawn
    assert f"Made by: gcnnbench figure {name} --benchmark toy." in drawn
    assert "<text" not in drawn  # letters are paths: no font is needed to show them


def test_other_records_give_other_bytes(
    registry: Registry, kept: Path, toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = draw(registry, kept, "pairs", "toy", tmp_path / "one").files[1].read_bytes()
    protocol = spec(registry, registry.benchmark("toy"), "p4cnn@28")
    toy.write(kept, toy.record("p4cnn@28", 0, 0.8, 0.8, spec=protocol))
    assert draw(registry, kept, "pairs", "toy", tmp_path / "one").files[1].read_bytes() != before


@pytest.mark.parametrize(
    ("name", "on", "told"),
    [
        ("curves", "toy", "there is no figure 'curves'; did you mean curve"),
        ("curve", "tory", "did you mean toy"),
        ("relaxation", None, "is of one benchmark: add --benchmark with one of toy"),
    ],
)
def test_figures_that_cannot_be_drawn(
    registry: Registry, kept: Path, tmp_path: Path, name: str, on: str | None, told: str
) -> None:
    with pytest.raises(UserError, match=told):
        draw(registry, kept, name, on, tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_nothing_to_draw_names_the_command_that_makes_something(toy: Toy) -> None:
    nobody = [Network("p4cnn@28", "exact", ())]
    with pytest.raises(UserError, match="toy@2 has no record to draw: gcnnbench run toy"):
        draw_curve(toy.card(), nobody, [])
    with pytest.raises(UserError, match="toy@2 has no record to draw: gcnnbench run toy"):
        draw_relaxation(toy.card(), nobody)
    with pytest.raises(UserError, match="no pair of an exact and an approximate network"):
        draw_pairs([toy.board()])


def test_the_verb_lists_and_draws(tmp_path: Path) -> None:
    listed = CliRunner().invoke(build_app(), ["figure"])
    assert [line.split()[0] for line in listed.stdout.splitlines()] == list(FIGURES)
    words = ["figure", "pairs", "--benchmark", "quickstart", "--output", str(tmp_path), "--format", "json"]
    result = CliRunner().invoke(build_app(), words)
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["command"] == f"gcnnbench figure --output {tmp_path} pairs --benchmark quickstart"
    assert all(Path(path).is_file() for path in document["files"])
