"""Every number of results in README, findings and two pages beside them is printed by a command or made from records.

A section names boards and commands. Its numbers with decimals must stand in what these print: with its spread or its
interval where it has one, whichever way a difference is told. What no command prints is a sentence of
the modules beside this one, made from the records.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache

import pytest

from gcnnbench.claims.evidence import evidence
from gcnnbench.claims.judging import judge_claims
from gcnnbench.claims.reading import read_claims
from gcnnbench.claims.text import claims_as_markdown
from gcnnbench.leaderboard.reading import run
from tests.docs import (
    findings_of_cifar10_and_pcam,
    findings_of_learnt_symmetry,
    findings_of_mnist,
    findings_of_rotated_digits,
    findings_of_weights,
)
from tests.docs.from_records import REGISTRY, RESULTS, ROOT, records

NUMBER = r"[−+-]?\d+(?:\.\d+|e-\d+|\.\d+e-\d+)"
WITH_INTERVAL = re.compile(rf"({NUMBER})(?: \([\w°]+\))?[ |]+\[({NUMBER}), ({NUMBER})\]")
WITH_SPREAD = re.compile(rf"({NUMBER}) ?± ?({NUMBER})")
ALONE = re.compile(rf"(?<![\w.@])({NUMBER})(?![\w.])")
NOT_PROSE = re.compile(r"`[^`]*`|\]\([^)]*\)|https?://\S+")
MACHINES = ("Speed", "Machines")
"""Sections of what was measured on a machine: no record of a benchmark holds it."""

ELSEWHERE = {
    "0.3": "models/p4cnn/model.yaml",
    "0.30": "models/p4cnn/model.yaml",
    "0.35": "docs/studies/z2cnn-dropout-35/model.yaml",
    "93.0": "benchmark/gcnnbench/registry/claims/jordan2024.yaml",
    "94.0": "benchmark/gcnnbench/registry/benchmarks/cifar10-air.yaml",
    "0.01": "benchmark/gcnnbench/registry/benchmarks/degree-mnist-halves.yaml",
}
"""Settings and quoted numbers that are told beside results, and a card that holds each."""

NOT_KEPT = {"0.002": "by a script that is not kept"}
"""Numbers without a record, and the words that say so."""


def one_line(text: str) -> str:
    return " ".join(text.split())


def sections(text: str) -> dict[str, str]:
    """The text under each heading of the second level."""
    parts = re.split(r"^## (.*)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


README = sections((ROOT / "README.md").read_text("utf-8"))
FINDINGS = sections((ROOT / "docs/findings.md").read_text("utf-8"))
TABLES = sections((RESULTS / "README.md").read_text("utf-8"))
"""What commands print, held to the records by `tests/pages`."""

WEIGHTS = "docs/weight-space.md"
"""A page whose tables are what `gcnnbench probe` prints; `test_probe_tables.py` holds them to the readings."""

TOLD = {
    "docs/leaderboards.md": (ROOT / "docs/leaderboards.md").read_text("utf-8"),
    "README: Published, and measured again": README["Published, and measured again"],
    WEIGHTS: "\n".join(line for line in (ROOT / WEIGHTS).read_text("utf-8").splitlines() if not line.startswith("|")),
    **{title: body for title, body in FINDINGS.items() if title not in MACHINES},
}


def signless(*numbers: str) -> tuple[str, ...]:
    """A difference and its interval, told so that the difference is positive."""
    first, *ends = (number.replace("−", "-").removeprefix("+") for number in numbers)
    if first.startswith("-"):
        turned = [end[1:] if end.startswith("-") else f"-{end}" for end in reversed(ends)]
        return (first[1:], *turned)
    return (first, *ends)


def numbers(text: str) -> Iterator[tuple[str, ...]]:
    """The numbers of a text: with an interval, with a spread, alone."""
    for pattern in (WITH_INTERVAL, WITH_SPREAD, ALONE):
        yield from (signless(*found.groups()) for found in pattern.finditer(text))
        text = pattern.sub(" ", text) if pattern is not ALONE else text


def printed(text: str) -> set[tuple[str, ...]]:
    """The numbers of a text, and each of their parts alone."""
    found = set(numbers(text))
    return found | {signless(part) for number in found for part in number}


@cache
def claims_of(benchmark: str) -> str:
    """What `gcnnbench verify claims --benchmark BENCHMARK` prints, without its notes on records set aside."""
    card = REGISTRY.versions()[benchmark]
    gathered = {
        (card.name, entry): [evidence(record, run(record, "seed", card)) for record in found]
        for entry, found in records(benchmark).items()
    }
    registry = REGISTRY.at(card)
    rows = judge_claims(registry, read_claims(registry), gathered)
    return claims_as_markdown([row for row in rows if row.benchmark == card.name])


def boards(text: str) -> Iterator[str]:
    """The benchmarks that a text names, `name@version`."""
    for name, version in re.findall(r"(?<![\w-])([a-z][a-z0-9-]+)(@\d+)?(?![\w@-])", text):
        card = REGISTRY.versions().get(name + version) if version else REGISTRY.benchmarks.get(name)
        if card is not None:
            yield card.full_name


@cache
def shown(title: str) -> set[tuple[str, ...]]:
    """The numbers that the commands of a section print."""
    text = one_line(TOLD[title])
    made = [body for name in set(boards(text)) for heading, body in TABLES.items() if heading.startswith(f"{name}:")]
    made += [body for heading, body in TABLES.items() if heading.startswith("Regret: ") and heading[8:] in text]
    for name in re.findall(r"verify claims --benchmark ([\w-]+(?:@\d+)?)", text):
        made.append(claims_of(next(boards(name))))
    printed_by = (ROOT / f"docs/studies/results/{name}.txt" for name in re.findall(r"docs/studies/(\w+)\.py", text))
    made += [path.read_text("utf-8") for path in printed_by if path.is_file()]
    if title == WEIGHTS:
        made += [line for line in (ROOT / WEIGHTS).read_text("utf-8").splitlines() if line.startswith("|")]
    return printed(one_line("\n".join(made)))


def of_the_answer() -> Iterator[str]:
    """The sentences of the first section, which is of all benchmarks."""
    yield from findings_of_rotated_digits.of_the_answer()
    yield from findings_of_cifar10_and_pcam.of_training_and_the_break()


COMPUTED: Mapping[str, Callable[[], Iterator[str]]] = {
    "Exact or approximate: the answer so far": of_the_answer,
    "The MNIST study, trained upright: version 2": findings_of_mnist.of_upright_training,
    "The MNIST study, trained under all rotations: version 2": findings_of_mnist.of_uniform_training,
    "The MNIST study, trained around 45°: version 2": findings_of_mnist.of_biased_training,
    "The MNIST study, trained around 45° with σ = 40°: blind": findings_of_mnist.of_blind_training,
    "The MNIST study, trained upright: version 1": findings_of_mnist.of_version_1,
    "The MNIST study, trained under rotations: version 1": findings_of_mnist.of_rotated_training,
    "CIFAR-10 in minutes": findings_of_cifar10_and_pcam.of_cifar10,
    "PCam, one per cent of it": findings_of_cifar10_and_pcam.of_pcam_1pct,
    "Rotated MNIST, generated here": findings_of_rotated_digits.of_rotated_digits,
    "PCam's sample": findings_of_cifar10_and_pcam.of_pcam_sample,
    "What weights say of symmetry": findings_of_weights.of_weights,
    WEIGHTS: findings_of_weights.of_weights,
    "How much symmetry, when nobody knows": findings_of_learnt_symmetry.of_learnt_symmetry,
}
"""What the records give and no command prints, by the section of the findings that tells it."""


@cache
def computed(title: str) -> tuple[str, ...]:
    """The sentences of a section that are made from records."""
    return tuple(one_line(sentence) for sentence in COMPUTED[title]()) if title in COMPUTED else ()


def unfounded(title: str, text: str) -> list[str]:
    """The numbers of a section that neither a command of it prints nor a sentence made from records holds."""
    text = one_line(text)
    for sentence in computed(title):
        text = text.replace(sentence, " ")
    known = shown(title) | {(number,) for number in (*ELSEWHERE, *NOT_KEPT)}
    return [" ".join(number) for number in numbers(NOT_PROSE.sub(" ", text)) if number not in known]


def missing(title: str, text: str) -> list[str]:
    """The sentences made from records that a section does not hold."""
    return [sentence for sentence in computed(title) if sentence not in one_line(text)]


@pytest.mark.parametrize("title", TOLD)
def test_every_number_is_printed_by_a_command_of_its_section_or_made_from_records(title: str) -> None:
    assert unfounded(title, TOLD[title]) == []
    assert missing(title, TOLD[title]) == []


@pytest.mark.parametrize("machine", ["intel-xeon-2-cores", "amd-epyc-2-cores"])
def test_the_speed_of_a_machine_is_that_of_its_table(machine: str) -> None:
    (told,) = (item.split("\n\n")[0] for item in FINDINGS["Speed"].split("\n- ") if machine in item)
    table = (ROOT / f"docs/perf/{machine}.md").read_text("utf-8").replace("%", " %")
    found = re.findall(r"\d+\.\d+|\d+ %|\d+(?= GFLOP)", one_line(NOT_PROSE.sub(" ", told)))
    assert len(found) > 6
    assert [number for number in found if not re.search(rf"(?<![\d.]){number}(?!\.?\d)", table)] == []


def test_what_has_no_record_says_so() -> None:
    every = one_line(" ".join(TOLD.values()))
    assert all(words in every for words in NOT_KEPT.values())
    for number, card in ELSEWHERE.items():
        held = {float(one) for one in re.findall(r"(?<![\d.])\d+\.\d+", (ROOT / card).read_text("utf-8"))}
        assert float(number) in held, card


def test_an_altered_number_is_seen() -> None:
    """The last digit of each number, raised by one: seen unless another cell of its tables has that number."""
    seen = []
    for title, body in TOLD.items():
        text = one_line(body)
        prose = NOT_PROSE.sub(lambda found: " " * len(found[0]), text)
        for found in ALONE.finditer(prose):
            altered = text[: found.end(1) - 1] + str((int(text[found.end(1) - 1]) + 1) % 10) + text[found.end(1) :]
            seen.append(bool(unfounded(title, altered) or missing(title, altered)))
    assert len(seen) > 400
    assert sum(seen) / len(seen) > 0.9
