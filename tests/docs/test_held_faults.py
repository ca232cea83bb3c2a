"""Every test that tests/README.md names for a fault is there."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]


def named(text: str) -> list[tuple[str, str]]:
    """File and function of every test in a text; `::name` alone is in the file named before it."""
    found, file = [], ""
    for path, name in re.findall(r"`([\w/]+\.py)?::(\w+)`", text):
        file = path or file
        found.append((file, name))
    return found


def test_every_test_that_holds_a_fault_is_there() -> None:
    tests = named((TESTS / "README.md").read_text("utf-8"))
    assert len(tests) > 60
    assert [
        f"{file}::{name}" for file, name in tests if f"\ndef {name}(" not in (TESTS / file).read_text("utf-8")
    ] == []


def test_every_item_has_a_row() -> None:
    letters = {"A": range(1, 9), "B": range(9, 17), "C": range(17, 19), "D": range(19, 24), "": range(1, 11)}
    items = re.findall(r"^\| ([A-D]?\d+) ", (TESTS / "README.md").read_text("utf-8"), re.MULTILINE)
    assert items == [f"{letter}{number}" for letter, numbers in letters.items() for number in numbers]
