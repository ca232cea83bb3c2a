"""Each planted mistake is found where it stands, and named; nothing else is."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from gcnnbench.cards.reading import Finding
from gcnnbench.cards.registry import survey
from gcnnbench.cards.tokens import MOST_ERRORS
from tests.cards.mistakes import MARK, MISTAKES

RIGHT = Path(__file__).parent / "right"
FILES = {"model": "mynet/model.yaml", "dataset": "mydata/dataset.yaml", "benchmark": "trial.yaml"}
MODEL, DATASET, BENCHMARK = ((RIGHT / file).read_text(encoding="utf-8") for file in FILES.values())


def write_cards(folder: Path, texts: dict[str, str]) -> dict[str, Path]:
    """Write cards where they belong, with code beside them, and say where."""
    paths = {kind: folder / FILES[kind] for kind in texts}
    for kind, text in texts.items():
        paths[kind].parent.mkdir(parents=True, exist_ok=True)
        paths[kind].write_text(text, encoding="utf-8")
        if kind != "benchmark":
            paths[kind].with_suffix(".py").touch()
    return paths


def plant(folder: Path, kind: str, right: str, wrong: str) -> tuple[Path, int, int]:
    """Write the three right cards but for one mistake; its card's path, line and column."""
    texts = {"model": MODEL, "dataset": DATASET, "benchmark": BENCHMARK}
    if texts[kind].count(right) != 1 or wrong.count(MARK) != 1:
        raise ValueError(f"{right!r} and the mark in {wrong!r} must each stand once")
    marked = texts[kind].replace(right, wrong)
    before = marked.split(MARK)[0].split("\n")
    texts[kind] = marked.replace(MARK, "")
    return write_cards(folder, texts)[kind], len(before), len(before[-1]) + 1


def findings_in(folder: Path) -> list[Finding]:
    """What the registry finds wrong with the cards in a folder."""
    return [finding for finding in survey([folder]).findings if finding.path.is_relative_to(folder)]


def test_the_cards_are_right_before_anything_is_planted(tmp_path: Path) -> None:
    write_cards(tmp_path, {"model": MODEL, "dataset": DATASET, "benchmark": BENCHMARK})
    assert findings_in(tmp_path) == []


@pytest.mark.parametrize(("kind", "right", "wrong", "message"), MISTAKES, ids=[mistake[3] for mistake in MISTAKES])
def test_a_planted_mistake_is_found_at_its_place(
    tmp_path: Path, kind: str, right: str, wrong: str, message: str
) -> None:
    path, line, column = plant(tmp_path, kind, right, wrong)
    findings = findings_in(tmp_path)
    assert [(finding.path, finding.line, finding.column) for finding in findings] == [(path, line, column)]
    assert re.search(message, str(findings[0])), str(findings[0])
    assert str(findings[0]).startswith(f"{path}:{line}:{column}: ")


def test_a_second_count_for_one_configuration_is_refused(tmp_path: Path) -> None:
    line = next(line for line in MODEL.splitlines() if line.startswith("  - {channels"))
    write_cards(tmp_path, {"model": MODEL.replace(line, f"{line}\n{line.replace('count: ', 'count: 1')}")})
    (finding,) = findings_in(tmp_path)
    assert "parameters[1]: a second count for" in str(finding)


def test_a_file_that_stands_twice_is_refused(tmp_path: Path) -> None:
    line = next(line for line in DATASET.splitlines() if "path: my/raw-file.bin" in line)
    write_cards(tmp_path, {"dataset": DATASET.replace(line, f"{line}\n{line}")})
    assert [finding.key for finding in findings_in(tmp_path)] == ["files[1].path"]


@pytest.mark.parametrize(
    "more",
    [
        "".join(f"key{number}: 1\n" for number in range(1000)),
        "x: {" + ", ".join(f"k{number}: 1" for number in range(8_000)) + "}\n",
        "x: [" + ", ".join(f"&a{number} 1" for number in range(7_000)) + "]\n",
        "entries: [" + ", ".join(["x"] * 30_000) + "]\n",
        "".join(f"{'k' * 300}{number}: ~\n" for number in range(300)),
        f"seeds: {'9' * 90_000}\n",
        f"title: '{'x' * 90_000}'\n",
        f"{'k' * 90_000}: 1\n",
        "\x07\n" * 40_000,
    ],
    ids=["unknown keys", "keys", "anchors", "entries", "long keys", "a long number", "text", "a long key", "controls"],
)
def test_a_card_full_of_mistakes_costs_little_and_says_little(tmp_path: Path, more: str) -> None:
    write_cards(tmp_path, {"benchmark": BENCHMARK.replace("seeds: 3\n", more, 1)})
    begun = time.process_time()
    findings = findings_in(tmp_path)
    assert time.process_time() - begun < 20, "it took 24 s and more before there were bounds"
    assert 0 < len(findings) <= MOST_ERRORS + 1
    assert all(len(str(finding)) < 600 for finding in findings)


def test_a_mistake_that_two_values_share_is_found_at_each(tmp_path: Path) -> None:
    """No size but the data set's fits without resizing, so each entry is a mistake of its own."""
    path = write_cards(tmp_path, {"benchmark": BENCHMARK.replace("resize: pillow-bilinear", "resize: none")})[
        "benchmark"
    ]
    assert [(finding.path, finding.line, finding.column) for finding in findings_in(tmp_path)] == [
        (path, 39, 11),
        (path, 39, 21),
    ]


def test_best_validation_needs_a_validation_share(tmp_path: Path) -> None:
    write_cards(tmp_path, {"benchmark": BENCHMARK.replace("  validation: {part: all, images: 200}\n", "")})
    (finding,) = findings_in(tmp_path)
    assert (finding.line, finding.column, finding.key) == (28, 17, "recipe.tested_model")
    assert "needs images to validate on" in finding.message


@pytest.mark.parametrize(
    ("content", "line", "column", "message"),
    [
        (b"", 1, 1, "the file is empty"),
        (b"# only a comment\n", 1, 1, "the file is empty"),
        (b"name: trial\ntitle: caf\xe9\n", 2, 11, "byte 0xe9 is not UTF-8"),
        (b"- name\n- trial\n", 1, 1, "a list must be a mapping"),
        (b"just text\n", 1, 1, "'just text' must be a mapping"),
        (b"name: [trial\n", 2, 1, "not YAML"),
        (b"name: &a [*a]\n", 1, 11, r"aliases \(\*\) are refused"),
        (b"<<: {name: trial}\n", 1, 1, "the key << is not text"),
        (b"[" * 50 + b"]" * 50, 1, 41, "nested more than 40 deep"),
        (b"#" * 100_001, 1, 1, "more than 100,000 bytes"),
    ],
)
def test_what_is_no_card_at_all(tmp_path: Path, content: bytes, line: int, column: int, message: str) -> None:
    path = tmp_path / "trial.yaml"
    path.write_bytes(content)
    findings = findings_in(tmp_path)
    found = [(finding.line, finding.column) for finding in findings if re.search(message, finding.message)]
    assert found == [(line, column)], [str(finding) for finding in findings]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
@pytest.mark.parametrize("file", ["model.yaml", "trial.yaml"])
def test_no_pipe_or_device_is_read(tmp_path: Path, file: str) -> None:
    (tmp_path / "device").mkdir()
    (tmp_path / "device" / file).symlink_to("/dev/null")
    (tmp_path / "pipe").mkdir()
    os.mkfifo(tmp_path / "pipe" / file)
    found = [(finding.path, finding.message) for finding in findings_in(tmp_path)]
    assert found == [(tmp_path / kind / file, "cannot be read: it is no plain file") for kind in ("device", "pipe")]


def test_code_and_cards_belong_together(tmp_path: Path) -> None:
    paths = write_cards(tmp_path, {"model": MODEL, "dataset": DATASET})
    paths["model"].with_suffix(".py").unlink()
    paths["dataset"].with_suffix(".py").unlink()
    assert {(finding.path, finding.message) for finding in findings_in(tmp_path)} == {
        (paths["model"], "model.py is missing beside this card"),
        (paths["dataset"], "dataset.py is missing beside this card"),
    }


def test_a_name_that_is_taken_is_refused(tmp_path: Path) -> None:
    model = MODEL.replace("name: mynet", "name: p4cnn")
    (tmp_path / "p4cnn").mkdir()
    (tmp_path / "p4cnn" / "model.yaml").write_text(model, encoding="utf-8")
    (finding,) = findings_in(tmp_path)
    assert (finding.line, finding.column) == (1, 7)
    assert "p4cnn is taken by" in finding.message


def test_a_broken_card_is_not_also_called_missing(tmp_path: Path) -> None:
    """A benchmark that names a model whose card cannot be read has nothing wrong with it."""
    broken = MODEL.replace("title: My network\n", "")
    write_cards(tmp_path, {"model": broken, "benchmark": BENCHMARK.replace("p4cnn@28", "mynet@28")})
    assert [finding.key for finding in findings_in(tmp_path)] == ["title"]


def test_all_mistakes_of_a_file_are_found_at_once(tmp_path: Path) -> None:
    """What the source, the schema and other cards say is told together, in the order of the file."""
    text = BENCHMARK.replace("epochs: 5", "epochs: 1e1").replace("per: batch", "per: bath")
    text = text.replace("momentum: 0.9", "momentun: 0.9").replace("seeds: 3", "seeds: 3\nseeds: 4")
    paths = write_cards(tmp_path, {"benchmark": text})
    findings = findings_in(tmp_path)
    assert [(finding.line, finding.key) for finding in findings] == [
        (19, "recipe.epochs"),
        (22, "recipe.optimiser.momentun"),
        (27, "recipe.augmentation.rotation.per"),
        (41, "seeds"),
    ]
    assert all(finding.path == paths["benchmark"] for finding in findings)
