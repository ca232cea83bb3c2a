"""Tables in text: the form of terminals, no wider than its cells, and the roomy one of pages that are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from gcnnbench.layout import pipes

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_a_table_is_no_wider_than_its_cells_and_shows_markup_as_text() -> None:
    made = pipes((["entry", "n"], [["a|b", "12"], ["<i>", "3"]], "lr"))
    assert made.split("\n") == ["| entry  |  n |", "| :----- | -: |", "| a\\|b   | 12 |", "| &lt;i> |  3 |"]


@pytest.mark.parametrize(
    ("page", "alignment"),
    [("zoo.md", "l" * 8), ("passports/p4cnn.md", "l" * 5), ("perf/intel-xeon-2-cores.md", "lrrrrrr")],
)
def test_the_roomy_form_is_that_of_pages(page: str, alignment: str) -> None:
    blocks = (DOCS / page).read_text(encoding="utf-8").split("\n\n")
    block = next(
        block for block in blocks if block.startswith("|") and block.split("\n")[0].count("|") == len(alignment) + 1
    )
    headings, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in block.split("\n")]
    assert pipes((headings, rows, alignment), roomy=True) == block
    assert pipes((headings, rows, alignment)) != block
