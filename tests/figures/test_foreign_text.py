"""What others named is drawn as it is written: none of it is a formula, and the file stays one of SVG."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from torch import nn

from gcnnbench.equivariance.audit import Audit, audit
from gcnnbench.equivariance.contributions import Contribution, Decomposition
from gcnnbench.escaping import mathtext
from gcnnbench.figures.audit import Reading, against_depth, against_size, figure
from gcnnbench.figures.contributions import draw_contributions
from gcnnbench.figures.degree import draw_degree
from gcnnbench.figures.networks import Network
from gcnnbench.figures.relaxation import draw_relaxation
from gcnnbench.figures.style import encoded, styled
from gcnnbench.nn.fields import ScalarField

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from tests.toy_records import Toy

FORMULA = r"$\relu1$"
SHOWN = mathtext(FORMULA)


def drawn_names(axes: Axes) -> list[str]:
    """The labels along the axis, once the figure could be laid out."""
    axes.figure.get_figure(root=True).draw_without_rendering()
    return [label.get_text() for label in axes.get_xticklabels()]


def test_a_depth_of_a_record_is_no_formula(toy: Toy) -> None:
    depth = {"depth": FORMULA, "paper": 0.1, "relative": 0.1}
    state = {"depths": [depth], "invariance_error": 0.0, "flips": 0.0, "dtype": "float64"}
    record = toy.record(equivariance={"images": 8, "before": state, "after": state, "relaxation": {}})
    with styled():
        drawing = draw_relaxation(toy.card(), [Network("p4cnn@28", "exact", (record,))])
        assert drawn_names(drawing.figure.axes[0]) == [SHOWN, "logits"]


def test_a_module_of_a_probe_is_no_formula(toy: Toy) -> None:
    read = {"degree": {FORMULA: {"outside": 0.5}}}
    with styled():
        drawing = draw_degree("toy", {"p4cnn@28": {FORMULA: [toy.record(probes=read)]}})
        assert drawn_names(drawing.figure.axes[0]) == [SHOWN]


@pytest.fixture(scope="module")
def audited() -> Audit:
    """Of a network whose name is a formula with an escape sequence, and its layer's name a formula."""

    def make(size: int) -> nn.Module:
        network, layer = nn.Sequential(), nn.Conv2d(1, 4, 3, padding=1)
        layer.field = ScalarField()  # type: ignore[assignment]
        network.add_module(FORMULA, layer)
        network.extend([nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)])
        return network

    return replace(audit(make, [8], channels=1), network=f"{FORMULA}\x1b.py:build")


@pytest.mark.parametrize("drawing", [against_size, against_depth])
def test_a_network_and_its_layers_are_no_formulas(audited: Audit, drawing: Any) -> None:
    with styled():
        made = figure(Reading(audited, ["approximate"]), drawing)
        (axes,) = made.axes
        assert drawing is against_size or SHOWN in drawn_names(axes)
        assert axes.get_title() == mathtext(f"{FORMULA}\\x1b.py:build under p4")
        ElementTree.fromstring(encoded(made, audited.network, audited.network)["svg"])


def test_a_kind_of_layer_is_no_formula(tmp_path: Path) -> None:
    ours = Contribution("conv", FORMULA, 1.0, 1.0)
    found = Decomposition("rotation", 1.0, (ours,), Contribution("between layers", "", 0.0, 0.0), {}, None)
    written = draw_contributions(FORMULA, {(9, "rotation"): found}, tmp_path / "shares")
    assert [path.suffix for path in written] == [".svg", ".png"]
