"""Cards spoilt at random: each is refused with findings that show, or accepted for a reason that can be named."""

from __future__ import annotations

import random
import re
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gcnnbench.cards.benchmark_card import BenchmarkCard
from gcnnbench.cards.card_files import CardFiles, read_card_files
from gcnnbench.cards.checks import cross_check
from gcnnbench.cards.dataset_card import DatasetCard
from gcnnbench.cards.model_card import ModelCard
from gcnnbench.cards.reading import CardsError, open_card
from gcnnbench.cards.tokens import MOST_ERRORS
from gcnnbench.outside_text import unfit

Kind = type[ModelCard] | type[DatasetCard] | type[BenchmarkCard]
Mutation = Callable[[str, random.Random], str]

VALUES = (
    *("0", "-1", "1", "0.0", "-0.5", "1.0e-400", "1.0e+308", "1.0e+400", "1e5", ".5", "0x10", "010", "1_000", "9" * 30),
    *("100000000", "1000001", "~", "null", "yes", "true", "''", "'x'", "[]", "{}", "[[[]]]", "{a: {a: {a: 1}}}"),
    *(
        "&a 1",
        "*a",
        "!!python/name:os.system",
        "!!int 3",
        "2023-08-21",
        "1:30",
        "<<",
        "=",
        "@",
        "p4cnn@0",
        "p4cnn@99999",
    ),
    *('"\\e[2J"', '"\\u202e"', '"\\n"', '"\\0"', "../../etc/passwd", "x" * 500, "[" * 50, "a, b: c", ".nan", ".inf"),
    *("upright", "p4m", "C8", "adam", "class", "size", "2", "3", "27", "0.3", "'; rm -rf ~'"),
)
CHARACTERS = "\u2028\u2029\x85\x00\x07\x1b\r\t\u202e\u2066\ufeff\u200b\x7f:#-[]{}&*!|>'\"%@`,?~\n é"


def _line(text: str, rng: random.Random, change: Callable[[list[str], int], None]) -> str:
    lines = text.split("\n")
    change(lines, rng.randrange(len(lines)))
    return "\n".join(lines)


def _other_value(text: str, rng: random.Random) -> str:
    found = rng.choice(list(re.finditer(r"(?<=: )[^\s,{}\[\]]+|(?<=\[)[^,\]\n]+", text)))
    return text[: found.start()] + rng.choice(VALUES) + text[found.end() :]


def _other_number(text: str, rng: random.Random) -> str:
    found = rng.choice(list(re.finditer(r"(?<![\w.])\d+(\.\d+)?(?![\w.])", text)))
    factor = rng.choice((-1, 0, 2, 10, 1e3, 1e9, 1e-9))
    value = float(found[0]) * factor
    return text[: found.start()] + (str(value) if "." in found[0] else str(int(value))) + text[found.end() :]


def _other_key(text: str, rng: random.Random) -> str:
    found = rng.choice(list(re.finditer(r"\w+(?=:)", text)))
    key = rng.choice((found[0][1:], found[0] + "x", found[0].upper(), "size", "lambda", "no", "<<", "'a b'", "x" * 200))
    return text[: found.start()] + key + text[found.end() :]


def _character(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text))
    return text[:place] + rng.choice(CHARACTERS) + text[place + rng.randrange(2) :]


def _twice(lines: list[str], place: int) -> None:
    lines.insert(place, lines[place])


def _out(lines: list[str], place: int) -> None:
    del lines[place]


def _deeper(lines: list[str], place: int) -> None:
    lines[place] = f"  {lines[place]}"


MUTATIONS: dict[str, Mutation] = {
    "another value": _other_value,
    "another number": _other_number,
    "another key": _other_key,
    "a character": _character,
    "a line twice": lambda text, rng: _line(text, rng, _twice),
    "a line out": lambda text, rng: _line(text, rng, _out),
    "a line deeper": lambda text, rng: _line(text, rng, _deeper),
    "cut off": lambda text, rng: text[: rng.randrange(len(text))],
    "two at once": lambda text, rng: _other_value(_character(text, rng), rng),
}


def verdict(card_files: CardFiles, path: Path, kind: Kind, before: Any) -> str:
    """`refused`, or the reason why it is accepted; fails for what is neither."""
    try:
        file = open_card(path, kind)
    except CardsError as error:
        findings = list(error.errors)
    else:
        cards = {ModelCard: card_files.models, DatasetCard: card_files.datasets, BenchmarkCard: card_files.benchmarks}[
            kind
        ]
        held = dict(cards)  # type: ignore[call-overload]
        cards[file.card.name] = file  # type: ignore[index]
        findings = [finding for finding in cross_check(card_files) if finding.path == path]
        cards.clear()  # type: ignore[attr-defined]
        cards.update(held)  # type: ignore[attr-defined]
        if not findings:
            return _reason(path, file.document.data, before)
    assert 0 < len(findings) <= MOST_ERRORS + 1
    for finding in findings:
        assert unfit(str(finding)) is None, repr(str(finding))
        assert len(str(finding)) < 1500
    return "refused"


def _reason(path: Path, says: Any, before: Any) -> str:
    text = path.read_text(encoding="utf-8")
    assert unfit(text, "\n") is None, "a character that does not show was accepted"
    assert yaml.safe_load(text) == says, "another reader of YAML reads something else"
    return "says the same" if says == before else "another card that is right"


def test_a_mutated_card_is_refused_or_accepted_for_a_reason(tmp_path: Path, mutants: int) -> None:
    card_files, rng = read_card_files(), random.Random(2023)
    originals: list[tuple[Kind, Path]] = [(type(file.card), file.path) for file in card_files.files]
    counts: Counter[str] = Counter()
    for number in range(mutants):
        kind, original = rng.choice(originals)
        name = rng.choice(list(MUTATIONS))
        text = original.read_text(encoding="utf-8")
        mutant = MUTATIONS[name](text, rng)
        folder = tmp_path / str(number) / original.parent.name
        folder.mkdir(parents=True)
        (folder / original.name).write_text(mutant, encoding="utf-8", errors="surrogatepass", newline="")
        for code in ("model.py", "dataset.py"):
            (folder / code).touch()
        try:
            counts[verdict(card_files, folder / original.name, kind, yaml.safe_load(text))] += 1
        except Exception as error:
            pytest.fail(f"{original.name} of {original.parent.name}, mutant {number} ({name}): {error!r}\n{mutant}")
    sys.stdout.write(f"{sum(counts.values())} mutated cards: {dict(counts)}\n")
    assert sum(counts.values()) == mutants
    assert counts["refused"] > mutants / 3, "most mutations spoil a card"
