"""The protocol tables: one of every source with claims, complete, and looked up or assumed by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest

from gcnnbench.cards.reading import CardsError
from gcnnbench.cards.registry import Registry
from gcnnbench.claims.assumptions import assumptions
from gcnnbench.claims.protocol_tables import FOLDER, Item, ProtocolCard, read_protocols, tables_of
from gcnnbench.claims.reading import claims_files, read_claims
from gcnnbench.cli.card_background import background_of
from gcnnbench.cli.cards import describe

REGISTRY = Registry.load()
CARDS = read_protocols(REGISTRY)


def followed_first(source: str) -> set[str]:
    """The benchmarks that take their recipe from a source: the first on their card."""
    return {name for name, card in REGISTRY.benchmarks.items() if card.sources and card.sources[0].key == source}


def without_table(files: Sequence[Path], cards: Sequence[ProtocolCard]) -> set[str]:
    """The sources with claims and without a table."""
    return {file.stem for file in files} - {card.source for card in cards}


def test_every_source_with_claims_has_a_table() -> None:
    files = claims_files()
    assert without_table(files, CARDS) == set(), "a new file of claims needs registry/protocols/SOURCE.yaml"
    assert without_table([*files, Path("another2030.yaml")], CARDS) == {"another2030"}


def test_every_benchmark_that_a_source_is_shown_beside_has_its_table() -> None:
    for source in read_claims(REGISTRY):
        tables = {name for card in CARDS if card.source == source.source for t in card.tables for name in t.benchmarks}
        named = {claim.benchmark for claim in source.claims if claim.benchmark}
        assert named <= tables, source.source
        for released in source.weights:
            assert any(
                REGISTRY.benchmarks[name].dataset in released.data
                and released.entry in REGISTRY.benchmarks[name].entries
                for name in tables
            ), released.id
        if not named and not source.weights:
            assert followed_first(source.source) <= tables, source.source


def test_a_table_that_is_not_followed_is_of_benchmarks_that_follow_another() -> None:
    followed = {name for card in CARDS for t in card.tables if t.not_followed is None for name in t.benchmarks}
    shown = [(card.source, name) for card in CARDS for t in card.tables if t.not_followed for name in t.benchmarks]
    assert shown == [
        ("gecnn", "mnist-upright"),
        ("romero2020", "rotmnist"),
        ("romero2020", "rotmnist-300"),
        ("weiler2019", "cifar10-edixhoven"),
        ("wu2025", "cifar10-plus"),
    ]
    for source, name in shown:
        assert REGISTRY.benchmarks[name].sources[0].key != source, name
    assert {name for _, name in shown} <= followed


def test_every_assumption_of_a_card_is_a_line_of_its_sources_table() -> None:
    for card in CARDS:
        for table in card.tables:
            for name in table.benchmarks if table.not_followed is None else ():
                named = {line.assumption for line in table.lines_of(name)}
                benchmark = REGISTRY.benchmarks[name]
                assert set(assumptions(REGISTRY, benchmark, benchmark.entries)) <= named, name


def changed(folder: Path, *changes: tuple[str, str]) -> None:
    """A copy of the registry's tables with something of one replaced."""
    for path in FOLDER.glob("*.yaml"):
        text = path.read_text("utf-8")
        for old, new in changes:
            text = text.replace(old, new, 1)
        (folder / path.name).write_text(text, "utf-8")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (
            "assumption: swapped-parts",
            "assumption: swaped-parts",
            "no assumption 'swaped-parts'; did you mean swapped-p",
        ),
        ("        assumption: numeric-mode\n", "", "numeric-mode has no evidence, so it is an assumption"),
        ("- item: loss", "- item: data", "must have one line each, in this order: data, resampling"),
        (
            "{entry: p4cnn-subsample@27,",
            "{entry: p4cnn-subsample@29,",
            "p4cnn-subsample@27 is neither a network of the source",
        ),
        ('evidence: "TF', 'evidence: "the README of TF', "cannot be looked up"),
        (
            "benchmarks: [cifar10, cifar10-plus]",
            "benchmarks: [cifar10, cifar10-pluss]",
            "pluss must have one line each",
        ),
        ("benchmarks: [cifar10-cohen]", "benchmarks: [cifar10-cohn]", "there is no benchmark 'cifar10-cohn'"),
        ("assumption: weight-decay", "", "no line names cifar10-cohen's assumption 'weight-decay'"),
        ('suite: "SGD with momentum 0.9, 0.05"', 'suite: "the card\'s"', "write what the suite does"),
        ('suite: "SGD with momentum 0.9, 0.05"', 'suite: "as on the card"', "write what the suite does"),
        (
            'suite: "SGD with momentum 0.9, 0.05"',
            'suite: "0.05; corners as the card says"',
            "write what the suite does",
        ),
        ("        parameters: 24990\n", "", "either parameters says how many, or parameters_unknown why"),
        ("source: edixhoven2023, like: p4cnn@28", "like: p4cnn@28", "or not_compared says why none can be"),
        ("rates_assumed: schedule", "rates_assumed: shedule", "no line has the assumption 'shedule'"),
        ("    rates: [{epoch: 1, rate: 0.001}]\n", "", "has networks and rates to compare"),
    ],
)
def test_mistakes_in_a_table_are_named_with_their_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    changed(tmp_path, (old, new))
    with pytest.raises(CardsError, match=r"\.yaml:\d+:\d+:") as caught:
        read_protocols(REGISTRY, tmp_path)
    assert told in str(caught.value)


def test_show_prints_the_lines_of_a_benchmark(tmp_path: Path) -> None:
    known = background_of(REGISTRY, REGISTRY.benchmarks["mnist-uniform"], tmp_path)
    assert [line.item for line in known.protocol] == list(get_args(Item))
    text = " ".join(describe(REGISTRY, "benchmark", REGISTRY.benchmarks["mnist-uniform"], known).split())
    assert "- numeric-mode (edixhoven2023): not said" in text
    assert (
        "here: one angle a batch, uniform, bilinear, after the batch is drawn; black corners; known from TFed" in text
    )
    upright = REGISTRY.benchmarks["mnist-upright"]
    text = " ".join(describe(REGISTRY, "benchmark", upright, background_of(REGISTRY, upright, tmp_path)).split())
    assert "- optimiser (gecnn, not followed): Adam, 0.001 by default – here: Adam, 0.01; known from huet" in text
    assert "- optimiser (edixhoven2023): Adam, 0.01 – here: the same" in text
    assert background_of(REGISTRY, REGISTRY.benchmarks["quickstart"], tmp_path).protocol == ()
    assert [source for source, _ in tables_of(CARDS, "cifar10-plus")] == ["lengyel2021", "wu2025"]
    assert [source for source, _ in tables_of(CARDS, "mnist-upright")] == ["edixhoven2023", "gecnn"]
