"""`gcnnbench audit` as a user drives it: entries, slugs, files, modules; tables, documents, figures, exit codes."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from gcnnbench.cli.audit_options import parse_sizes
from gcnnbench.errors import UserError

FILE = """
import torch
from torch import nn
from neighbour import WIDTH

from gcnnbench.nn.convolution import GroupConv
from gcnnbench.nn.groups import P4, TRIVIAL
from gcnnbench.nn.pooling import CosetPool


class Strided(nn.Module):
    def __init__(self, channels=1, size=None):
        super().__init__()
        self.conv = GroupConv(channels, WIDTH, 3, group=P4, in_group=TRIVIAL, stride=2, padding=1)
        self.coset = CosetPool(P4)
        self.head = nn.Linear(WIDTH, 5)
        self.size = size

    def forward(self, images):
        if self.size is not None and images.shape[-1] != self.size:
            raise ValueError(f"made for {self.size}")
        return self.head(self.coset(torch.relu(self.conv(images))).mean((-2, -1)))


def pixel():
    return nn.Sequential(nn.Conv2d(1, 6, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


def unsized(channels=1):
    return Strided(channels)


finished = Strided()
number = 3


def no_network():
    return 3
"""


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    (tmp_path / "neighbour.py").write_text("WIDTH = 4\n")
    (tmp_path / "mine.py").write_text(FILE)
    return tmp_path / "mine.py"


@pytest.mark.parametrize("name", ["Strided", "unsized", "finished"])
def test_a_users_file_as_one_json_document(gcnnbench: Any, mine: Path, name: str) -> None:
    code, out, _ = gcnnbench("audit", f"{mine}:{name}", "--sizes", "16-17", "--format", "json")
    assert code == 0
    document = json.loads(out)
    assert list(document) == ["network", "group", "sizes"]
    assert (document["network"], document["group"]) == (f"{mine}:{name}", "p4")
    even, odd = document["sizes"]
    keys = [
        "size",
        "grid",
        "certificate",
        "decision",
        "first_break",
        "invariance_error",
        "drawn_error",
        "reason",
        "advice",
        "inputs",
        "left_open",
        "verdict",
    ]
    assert list(even) == list(odd) == keys
    assert [even[key] for key in keys[:5]] == [16, "broken", "approximate", "approximate", "conv"]
    assert [odd[key] for key in keys[:5]] == [17, "symmetric", "exact", "exact", None]
    assert odd["invariance_error"] < 1e-12 < 1e-3 < even["invariance_error"]
    assert odd["reason"] is None
    assert "conv: convolution, 16 → 8" in even["reason"]


def test_weights_are_the_same_in_every_audit(gcnnbench: Any, mine: Path) -> None:
    first = gcnnbench("audit", f"{mine}:Strided", "--sizes", "16", "--format", "csv")
    assert first == gcnnbench("audit", f"{mine}:Strided", "--sizes", "16", "--format", "csv")
    (row,) = csv.DictReader(io.StringIO(first[1]))
    assert (row["size"], row["decision"], row["first_break"]) == ("16", "approximate", "conv")


def test_a_claim_that_does_not_hold_ends_with_1(gcnnbench: Any, mine: Path) -> None:
    code, out, err = gcnnbench("audit", f"{mine}:unsized", "--sizes", "16,17", "--exact-at", "17")
    assert (code, err) == (0, "")
    assert re.search(r"\| +17 \| symmetric \| exact +\| – +\| +< 1e-12 \| +< 1e-12 \|", out)
    assert "- exact: every operation is known to be equivariant, and measurement agrees" in out.splitlines()
    code, _, err = gcnnbench("audit", f"{mine}:unsized", "--sizes", "16,17", "--exact-at", "16")
    assert code == 1
    assert "at 16: claimed to be exact, but approximate: conv: " in err
    code, _, err = gcnnbench("audit", f"{mine}:unsized", "--sizes", "16,17", "--exact-at", "18")
    assert code == 2
    assert "18, which is not among --sizes" in err


def test_arguments_and_channels_reach_the_factory(gcnnbench: Any, mine: Path) -> None:
    code, out, _ = gcnnbench("audit", f"{mine}:unsized", "--sizes", "17", "--arg", "channels=2", "--format", "json")
    assert code == 0
    assert json.loads(out)["sizes"][0]["decision"] == "exact"
    _, out, _ = gcnnbench(
        "audit", f"{mine}:unsized", "--sizes", "17", "--arg", "channels=2", "--channels", "3", "--format", "json"
    )
    row = json.loads(out)["sizes"][0]
    assert row["decision"] == "inapplicable"
    assert "the input has 3 channels, but the layer needs 2" in row["reason"]


def test_an_entry_is_audited_at_its_own_size_and_its_card_s_claim_is_checked(gcnnbench: Any) -> None:
    code, out, _ = gcnnbench("audit", "p4cnn@16", "--format", "json")
    assert code == 0
    (row,) = json.loads(out)["sizes"]
    assert (row["size"], row["certificate"], row["decision"]) == (16, "exact", "exact")
    code, out, _ = gcnnbench("audit", "z2cnn@16", "--format", "json")
    assert json.loads(out)["sizes"][0]["certificate"] == "none"
    code, out, _ = gcnnbench("audit", "p4cnn", "--sizes", "6,16", "--group", "p2")
    assert code == 0
    assert "p4cnn under p2" in out
    assert "inapplicable" in out


def test_a_module_on_the_path(gcnnbench: Any, mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine.parent)
    code, out, _ = gcnnbench("audit", "mine:unsized", "--sizes", "17")
    assert code == 0
    assert "mine:unsized under p4" in out


def test_an_explanation_in_words(gcnnbench: Any, mine: Path) -> None:
    code, out, _ = gcnnbench("audit", f"{mine}:unsized", "--explain", "16")
    assert code == 0
    assert "  17 instead of 16: conv sees 17 instead of 16" in out.splitlines()
    code, _, err = gcnnbench("audit", f"{mine}:unsized", "--explain", "16", "--format", "json")
    assert code == 2
    assert "--format says nothing with --explain" in err


def test_figures_are_drawn_as_svg_and_png(gcnnbench: Any, mine: Path, tmp_path: Path) -> None:
    stem = tmp_path / "figures" / "strided"
    code, _, err = gcnnbench("audit", f"{mine}:unsized", "--sizes", "15-17", "--figure", stem)
    assert code == 0
    names = {"strided-size.svg", "strided-size.png", "strided-depth.svg", "strided-depth.png"}
    assert {path.name for path in stem.parent.iterdir()} == names
    assert err.count("wrote ") == 4
    assert (stem.parent / "strided-depth.svg").read_text().startswith("<?xml")
    assert (stem.parent / "strided-size.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = gcnnbench("audit", f"{mine}:pixel", "--sizes", "1", "--figure", stem)
    assert code == 2
    assert "no error to draw" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{mine}:unsised"], "there is no 'unsised' in it; it has "),
        (["{mine}:number"], "is a int; it must be a torch.nn.Module, or make one when called"),
        (["{mine}:no_network"], "gave a int; it must give a torch.nn.Module"),
        (["{mine}:finished", "--arg", "channels=2"], "is a finished module and takes no arguments"),
        (["{mine}:unsized", "--arg", "channels"], "must be KEY=VALUE"),
        (["{mine}:unsized", "--sizes", "40-24"], "40-24 runs backwards; write 24-40"),
        (["{mine}:unsized", "--sizes", "0"], "must be numbers to 9999 and ranges"),
        (["nowhere.py:unsized"], "there is no file nowhere.py"),
        (["nowhere:unsized"], "does not import: ModuleNotFoundError"),
        (["{mine}"], "mine.py is a file: write {mine}:FACTORY; it has Strided, finished, no_network, pixel, unsized"),
        (["p4cmm"], "did you mean p4cnn"),
        (["p4cnn@x"], "write SLUG@SIZE"),
        (["p4cnn", "--arg", "planes=2"], "whose arguments stand on its card"),
    ],
)
def test_mistakes_are_named(gcnnbench: Any, mine: Path, arguments: list[str], message: str) -> None:
    code, out, err = gcnnbench("audit", *(argument.format(mine=mine) for argument in arguments))
    assert code == 2
    assert message.format(mine=mine) in " ".join(err.split())
    assert out == ""


FIVES = """
from torch import nn


def build():
    convolution = nn.Conv2d(1, 4, 3, stride=5, padding=1)
    return nn.Sequential(convolution, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
"""


@pytest.mark.parametrize("option", ["--format", "--badge"])
def test_other_sizes_are_looked_for_down_to_two_pixels(gcnnbench: Any, tmp_path: Path, option: str) -> None:
    """Near 4 the grid of steps of five is symmetric at 6 and at 1, where the negative control would be exact."""
    (tmp_path / "fives.py").write_text(FIVES)
    value = {"--format": "md", "--badge": str(tmp_path / "badge.svg")}[option]
    code, out, _ = gcnnbench("audit", f"{tmp_path / 'fives.py'}:build", "--sizes", "4", option, value)
    assert code == 0
    assert "not equivariant" in out
    assert "its layers break the symmetry, as ordinary convolutions do" in " ".join(out.split())


def test_one_pixel_is_a_row_that_tells_nothing(gcnnbench: Any, tmp_path: Path) -> None:
    (tmp_path / "fives.py").write_text(FIVES)
    code, out, _ = gcnnbench("audit", f"{tmp_path / 'fives.py'}:build", "--sizes", "1,2", "--format", "json")
    rows = json.loads(out)["sizes"]
    assert code == 0
    assert [(row["decision"], row["reason"]) for row in rows[:1]] == [("unknown", "no element moves its one pixel")]
    assert rows[1]["verdict"] == "not equivariant"


def test_sizes_are_numbers_and_ranges() -> None:
    assert parse_sizes("24-27") == (24, 25, 26, 27)
    assert parse_sizes("8, 24-25,8") == (8, 24, 25)
    for wrong in ("", "a", "3-", "-3", "3--4", "1.5", "1-99999", "9" * 5000):
        with pytest.raises(UserError, match="must be numbers to 9999 and ranges"):
            parse_sizes(wrong)
