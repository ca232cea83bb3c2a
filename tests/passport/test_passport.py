"""Passports: repairs, arithmetics and weights of a network, as data, as a model card's section and as a badge."""

from __future__ import annotations

import copy
import errno
import json
import os
import re
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from gcnnbench.cli.app import build_app
from gcnnbench.disk import write_whole
from gcnnbench.equivariance.audit import Audit, audit
from gcnnbench.equivariance.sample import sample_images
from gcnnbench.equivariance.wording import MEANINGS, Words, words
from gcnnbench.formatting import ranges
from gcnnbench.nn.fields import Invariant
from gcnnbench.nn.groups import P4
from gcnnbench.passport.arithmetic import arithmetics
from gcnnbench.passport.passport import Passport, passport, weights_digest
from gcnnbench.passport.text import COLOURS, badge_json, badge_message, badge_svg, card_section
from gcnnbench.strict_json import json_document

QUICK = ("float64", "float32", "bfloat16", "torch.export", "channels_last")


class Symmetric(nn.Module):
    """Invariant under p4: one pixel-wise layer, the mean over all pixels of the pooled map, and classes."""

    def __init__(self, pool: int = 2) -> None:
        super().__init__()
        self.lift = nn.Conv2d(1, 6, 1)
        self.pool = nn.MaxPool2d(pool, pool)
        self.classes = nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classes(self.pool(self.lift(images).relu()).mean((2, 3)))
        return logits


class BrokenInSinglePrecision(Symmetric):
    """The same function in float64; in float32 the left half weighs more."""

    def forward(self, images: Tensor) -> Tensor:
        if images.dtype == torch.float32:
            images = images * torch.linspace(1.5, 0.5, images.shape[-1])
        return super().forward(images)


def read(found: Audit, network: nn.Module) -> list[Words]:
    return [words(found, row) for row in found.sizes]


@pytest.fixture(scope="module")
def made() -> tuple[Audit, Passport]:
    torch.manual_seed(0)
    network = Symmetric()
    found = audit(network, [8, 9], P4, channels=1, name="symmetric", nearest=True)
    return found, passport(found, lambda _: network, read(found, network), names=QUICK)


def test_a_passport_says_where_it_is_exact_what_breaks_and_what_would_do(made: tuple[Audit, Passport]) -> None:
    document = made[1].document()
    even, odd = document["sizes"]
    assert (even["verdict"], odd["verdict"]) == ("exact", "approximate")
    assert odd["first_break"] == "pool"
    assert odd["nearest"] == [8, 10]
    assert any(text.startswith("8 instead of 9: pool sees") for text in odd["repairs"])
    assert even["parameters"] == 33
    assert even["weights_sha256"] == odd["weights_sha256"]
    assert json.loads(json.dumps(document, allow_nan=False)) == document


def test_exactness_survives_in_every_arithmetic_and_form_that_is_here(made: tuple[Audit, Passport]) -> None:
    modes = {mode["name"]: mode for mode in made[1].document()["arithmetic"]["modes"]}
    assert tuple(modes) == QUICK
    assert made[1].arithmetic_size == 8
    for name, mode in modes.items():
        assert mode["survival"] == "exact" or (name == "bfloat16" and mode["survival"] == "unknown"), mode
        assert mode["error"] <= mode["bound"]
    assert modes["float64"]["distance"] == 0
    assert 0 < modes["float32"]["distance"] < 1e-5 < modes["bfloat16"]["distance"] < 0.5


def test_a_form_that_loses_the_symmetry_is_found_and_tells_the_others_nothing() -> None:
    network = BrokenInSinglePrecision()
    before = copy.deepcopy(network.state_dict())
    found = {
        one.name: one
        for one in arithmetics(network, sample_images(4, 1, 8), P4, Invariant(), 1e-12, ("float64", "float32"))
    }
    assert found["float64"].survival == "exact"
    assert found["float32"].survival == "broken"
    assert found["float32"].error is not None
    assert found["float32"].error > 1e-3
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


class UndefinedInSinglePrecision(Symmetric):
    """Not a number in float32, from one of its calls on."""

    def __init__(self, call: int) -> None:
        super().__init__()
        self.call, self.calls = call, 0

    def forward(self, images: Tensor) -> Tensor:
        self.calls += images.dtype == torch.float32
        return super().forward(images) * (torch.nan if self.calls >= self.call else 1)


@pytest.mark.parametrize("call", [1, 4], ids=["everywhere", "under the last element"])
def test_an_output_that_is_not_finite_tells_nothing(made: tuple[Audit, Passport], call: int) -> None:
    network, images = UndefinedInSinglePrecision(call), sample_images(4, 1, 8)
    found = arithmetics(network, images, P4, Invariant(), 1e-12, ("float64", "float32"))
    assert [one.survival for one in found] == ["exact", "not run"]
    assert str(found[1].reason).endswith("the output is not finite")
    text = card_section(replace(made[1], arithmetic=found))
    assert re.search(r"\| float32 +\| not run +\| – ", text)
    assert json_document(replace(made[1], arithmetic=found).document())


def test_a_bound_that_bounds_nothing_is_none(made: tuple[Audit, Passport]) -> None:
    found = arithmetics(Symmetric(), sample_images(4, 1, 8), P4, Invariant(), float("inf"), ("float32",))
    assert (found[0].survival, found[0].bound) == ("unknown", None)
    assert json_document(replace(made[1], arithmetic=found).document())


def test_what_is_not_here_says_so_and_stops_nothing() -> None:
    class Unexportable(Symmetric):
        def forward(self, images: Tensor) -> Tensor:
            if float(images.sum()) > 1e9:
                return images
            return super().forward(images)

    found = arithmetics(Unexportable(), sample_images(4, 1, 8), P4, Invariant(), 1e-12, ("torch.export", "float32"))
    assert found[0].survival == "not run"
    assert found[0].reason
    assert "\n" not in found[0].reason
    assert found[1].survival == "exact"


def test_the_digest_is_of_every_bit_of_the_weights_and_their_names() -> None:
    network = Symmetric()
    digest = weights_digest(network)
    assert weights_digest(copy.deepcopy(network)) == digest
    with torch.no_grad():
        network.classes.bias[0] += 1e-6
    assert weights_digest(network) != digest


def test_the_section_of_a_model_card_holds_both_tables(made: tuple[Audit, Passport]) -> None:
    text = card_section(made[1])
    assert text.startswith("## Equivariance\n")
    assert "| 8      | exact       | < 1e-12 |" in text
    assert "8 instead of 9: pool sees" in text
    assert "float32" in text
    hostile = replace(made[0], network="<img src=x>`|\u202e")
    assert "<img" not in card_section(replace(made[1], audit=hostile)).replace("\\<img", "")
    assert "\u202e" not in card_section(replace(made[1], audit=hostile))


def test_a_badge_says_the_sizes_as_svg_and_for_shields(made: tuple[Audit, Passport]) -> None:
    assert badge_message(made[1]) == ("exact at 8, approximate at 9", "exact")
    root = ElementTree.fromstring(badge_svg(made[1]))
    assert root.attrib["aria-label"] == "p4-equivariant: exact at 8, approximate at 9"
    data = json.loads(badge_json(made[1]))
    assert data == {
        "schemaVersion": 1,
        "label": "p4-equivariant",
        "message": "exact at 8, approximate at 9",
        "color": "0060a8",
    }


PLAIN = """
from torch import nn


def build():
    layers = nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)
    return nn.Sequential(*layers)
"""


def test_audit_passport_and_badge_say_one_verdict(tmp_path: Path) -> None:
    """A plain CNN is no approximate one, wherever it is told."""
    (tmp_path / "plain.py").write_text(PLAIN)
    files = [tmp_path / name for name in ("p.json", "p.md", "b.svg", "b.json")]
    words = ["audit", f"{tmp_path / 'plain.py'}:build", "--sizes", "8", "--format"]
    first = CliRunner().invoke(build_app(), [*words, "json", "--passport", str(files[0]), "--badge", str(files[2])])
    again = CliRunner().invoke(build_app(), [*words, "md", "--passport", str(files[1]), "--badge", str(files[3])])
    assert [done.exit_code for done in (first, again)] == [0, 0]
    assert [row["verdict"] for row in json.loads(first.stdout)["sizes"]] == ["not equivariant"]
    assert [row["verdict"] for row in json.loads(files[0].read_text())["sizes"]] == ["not equivariant"]
    for text in (again.stdout, *(path.read_text() for path in files[1:])):
        assert "not equivariant" in text
        assert not re.search("approximate", text)


def test_every_verdict_has_a_colour_and_the_best_one_gives_it(made: tuple[Audit, Passport]) -> None:
    assert set(COLOURS) == set(MEANINGS)
    for verdict in MEANINGS:
        pages = (replace(made[1].pages[0], verdict=verdict), made[1].pages[1])
        told, best = badge_message(replace(made[1], pages=pages))
        assert f"{verdict} at 8" in told
        assert best == min((verdict, "approximate"), key=list(MEANINGS).index)


def test_sizes_are_told_as_ranges() -> None:
    assert ranges([28, 24, 25, 26]) == "24–26, 28"


def test_the_verb_refuses_a_name_without_a_form_before_it_measures(tmp_path: Path) -> None:
    done = CliRunner().invoke(build_app(), ["audit", "p4cnn@28", "--passport", str(tmp_path / "a.txt")])
    assert "must end in .json or .md" in str(done.exception)
    done = CliRunner().invoke(build_app(), ["audit", "p4cnn@28", "--badge", str(tmp_path / "a.png")])
    assert "must end in .svg or .json" in str(done.exception)


def test_the_verb_writes_what_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gcnnbench.passport.passport.arithmetics", lambda *_: ())
    files = [tmp_path / name for name in ("p.json", "b.svg")]
    words = ["audit", "p4cnn", "--sizes", "12,13"]
    done = CliRunner().invoke(build_app(), [*words, "--passport", str(files[0]), "--badge", str(files[1])])
    assert done.exit_code == 0, done.output
    document = json.loads(files[0].read_text())
    assert [row["verdict"] for row in document["sizes"]] == ["exact", "approximate"]
    assert "exact at 12, approximate at 13" in files[1].read_text()


def test_a_passport_that_was_written_is_named_though_its_badge_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fills_up(path: Path, content: bytes) -> None:
        if path == badge:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_whole(path, content)

    monkeypatch.setattr("gcnnbench.passport.passport.arithmetics", lambda *_: ())
    monkeypatch.setattr("gcnnbench.disk.write_whole", fills_up)
    written, badge = tmp_path / "p.json", tmp_path / "b.svg"
    words = ["audit", "p4cnn", "--sizes", "12", "--passport", str(written), "--badge", str(badge)]
    done = CliRunner().invoke(build_app(), words)
    assert isinstance(done.exception, OSError)
    assert f"wrote {written}\n" in done.stderr
    assert json.loads(written.read_text())["sizes"]
