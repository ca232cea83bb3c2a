"""ARCHITECTURE.md names files that exist, and draws the rooms that the table of imports holds."""

from __future__ import annotations

import re
from pathlib import Path

from tests.house.imports import PACKAGE
from tests.house.test_rooms import ROOMS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
PATH = re.compile(r"(?:[\w.@-]+/)+[\w.@-]*|[\w-]+\.(?:py|md|toml|bib)")
PLACES = (ROOT, PACKAGE, PACKAGE / "equivariance", ROOT / "results")
MADE = ("copies/", ".work/", "results/outputs", "results/.work", ".json", "model.py", "model.yaml", "dataset.py")
"""What stands in a results directory that is not in git, and files that every entry has."""


def named_paths(text: str) -> list[str]:
    """Every path in backticks that is no pattern; `<name>` and what follows it is left away."""
    found = [part for code in re.findall(r"`([^`\n]+)`", text) for part in [code.partition("<")[0]]]
    return [path for path in found if PATH.fullmatch(path) and not path.endswith(MADE) and not path.startswith(MADE)]


def missing(text: str) -> list[str]:
    """The paths that stand nowhere."""
    return [path for path in named_paths(text) if not any((place / path).exists() for place in PLACES)]


def test_every_path_exists() -> None:
    assert len(named_paths(TEXT)) > 60
    assert missing(TEXT) == []


def test_a_path_that_is_gone_is_seen() -> None:
    assert missing("`runs/executor.py`, `runs/local.py`, `verification/<x>`") == ["runs/executor.py", "verification/"]


def test_the_picture_shows_the_rooms_in_the_order_of_the_table() -> None:
    picture = TEXT.split("```")[1]
    drawn = [re.split(r"  +", line)[0] for line in picture.splitlines() if line and not line.startswith(" ")]
    ground, *rooms = [line.split() for line in drawn]
    table = [[room for room in line.split() if not room.startswith("__")] for line in ROOMS]
    assert ground == [room for room in table[0] if room not in ("models", "datasets")]
    assert rooms == [*table[1:], ["registry"], ["models", "datasets"]]
