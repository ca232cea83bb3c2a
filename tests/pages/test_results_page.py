"""The page of the committed results is the one their records make.

The figures are made and not drawn, which would take half of the time: what is drawn is tested in `tests/figures`.
"""

from pathlib import Path

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.data.copies import on_copies
from gcnnbench.figures import drawing
from gcnnbench.leaderboard.tables import leaderboard
from gcnnbench.pages.results import FIGURES, PAGE, page

RESULTS = Path(__file__).parents[2] / "results"


def test_the_committed_page_and_its_figures_names_are_those_the_records_make(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drawing, "encoded", lambda *_: {"svg": b"", "png": b""})
    registry = on_copies(Registry.load(), RESULTS)
    boards, findings = leaderboard(registry, RESULTS)
    assert not findings
    made = page(registry, RESULTS, boards, tmp_path)
    assert (RESULTS / PAGE).read_text() == made, "make it again: gcnnbench leaderboard --write"
    drawn = {path.name for path in tmp_path.iterdir()}
    assert drawn == {path.name for path in (RESULTS / FIGURES).iterdir()}
    assert all(f"{FIGURES}/{name}" in made for name in drawn if name.endswith(".svg"))
