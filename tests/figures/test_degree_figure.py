"""The figure of learnt symmetry shows what the probe read, for each entry and condition."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.errors import UserError
from gcnnbench.figures.degree import draw_degree
from gcnnbench.figures.gallery import draw
from gcnnbench.figures.style import styled

if TYPE_CHECKING:
    from gcnnbench.runs.record import Record
    from tests.toy_records import Toy


def read(toy: Toy, seed: int, **modules: dict[str, float]) -> Record:
    return toy.record("p4cnn@28", seed, probes={"degree": modules})


def banks(toy: Toy, *shares: float) -> list[Record]:
    """A record a seed, of two banks; the second lies half as far outside."""
    return [
        read(toy, seed, conv1={"outside": share}, conv2={"outside": share / 2, "free_share": 9.0})
        for seed, share in enumerate(shares)
    ]


@pytest.fixture
def found(toy: Toy) -> dict[str, dict[str, list[Record]]]:
    return {
        "z2cnn@28": {"upright": [toy.record("z2cnn@28")]},
        "rpp@28": {"upright": banks(toy, 0.8, 0.4), "circle": banks(toy, 0.2, 0.0)},
        "augerino@28": {"upright": [read(toy, 0, network={"width": 0.5}), read(toy, 1, network={"width": 1.5})]},
    }


def test_lines_are_means_by_depth_and_condition(found: Any) -> None:
    with styled():
        drawing = draw_degree("toy", found)
    by_depth, widths = (axes for axes in drawing.figure.axes if axes.get_visible())
    assert by_depth.get_title() == "rpp@28"
    assert [label.get_text() for label in by_depth.get_xticklabels()] == ["conv1", "conv2"]
    upright, circle = (np.asarray(line.get_ydata()) for line in by_depth.lines)
    assert upright == pytest.approx([0.6, 0.3])
    assert circle == pytest.approx([0.1, 0.05])
    assert by_depth.lines[0].get_color() != by_depth.lines[1].get_color()
    assert widths.get_title() == "augerino@28"
    assert float(np.asarray(widths.lines[0].get_ydata())[0]) == pytest.approx(1.0)
    (legend,) = drawing.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["upright", "circle"]
    assert "rpp@28: 0.45 (upright), 0.0" in drawing.alt
    assert "z2cnn" not in drawing.caption + drawing.alt


def test_without_readings_there_is_nothing_to_draw(toy: Toy) -> None:
    with pytest.raises(UserError, match="no record of the family toy has a reading of the probe degree"):
        draw_degree("toy", {"z2cnn@28": {"upright": [toy.record("z2cnn@28")]}})


@pytest.mark.parametrize(("name", "family"), [("degree", None), ("curve", "degree-mnist")])
def test_a_family_goes_with_its_figure_only(tmp_path: Path, name: str, family: str | None) -> None:
    with pytest.raises(UserError, match="--family"):
        draw(Registry.load(), tmp_path, name, None, tmp_path, family)
