"""The page's groups of benchmarks: by purpose, with those that have no record, and what cross-testing adds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gcnnbench.cards.benchmark_card import PURPOSES, BenchmarkCard
from gcnnbench.cards.registry import Registry
from gcnnbench.data.copies import on_copies
from gcnnbench.pages.site import site
from gcnnbench.runs.spec import spec
from tests.toy_records import Toy


def results_of(registry: Registry, cards: Sequence[BenchmarkCard], folder: Path) -> None:
    """Records of all entries and seeds of these benchmarks; the entry's place decides how good they are."""
    for card in cards:
        for place, entry in enumerate(card.entries):
            protocol = spec(registry, card, entry)
            for seed in range(card.seeds):
                right = 0.9 - 0.02 * place + 0.002 * seed
                exactness = ("exact", "exact") if place % 2 == 0 else ("approximate", "approximate")
                made = Toy.record(
                    entry,
                    seed,
                    right,
                    right - 0.1 * (place % 2),
                    spec=protocol,
                    exactness=exactness,
                    benchmark=card.full_name,
                    auc=right if card.evaluation.auc else None,
                )
                Toy.write(folder, made)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Registry, str]:
    """The registered benchmarks, with made-up records of one that cross-tests and of one without a purpose."""
    real = Registry.load()
    folded = Toy.card(
        name="folded",
        version=1,
        purpose="inference",
        split={"train": {"part": "all"}, "test": {"part": "all"}, "shuffle": "seed", "folds": 3},
        entries=["p4cnn@12", "p4cnn@13"],
        rank_by="accuracy.orbit",
        evaluation={**Toy.protocol("p4cnn@12")["evaluation"], "auc": True},
    )
    plain = Toy.card(name="plain", version=1, entries=["z2cnn@12"])
    datasets = {**real.datasets, "digits": real.datasets["digits"].model_copy(update={"classes": 2})}
    others = {name: card for name, card in real.benchmarks.items() if card.dataset != "digits"}
    registry = replace(real, datasets=datasets, benchmarks={**others, "folded": folded, "plain": plain})
    results = tmp_path_factory.mktemp("results")
    results_of(on_copies(registry, results), [folded, plain], results)
    return registry, site(registry, results)


def part(html: str, title: str) -> str:
    """What stands under the heading of a group."""
    return next(text for text in html.split('<div class="purpose">')[1:] if f"<h2>{title}</h2>" in text)


def test_every_benchmark_stands_under_its_purpose_with_a_table_or_without_records(made: tuple[Registry, str]) -> None:
    registry, html = made
    assert html.count('<div class="purpose">') == len({card.purpose for card in registry.benchmarks.values()})
    for purpose, words in PURPOSES.items():
        here = part(html, f"{words[0].upper()}{words[1:]}")
        for card in registry.benchmarks.values():
            has_records = card.name in ("folded", "plain")
            assert (f'id="{card.full_name}"' in here) == (card.purpose == purpose), card.full_name
            empty = re.search(rf'<li id="{re.escape(card.full_name)}">.*: no records yet; <code>(.*?)</code>', here)
            assert bool(empty) == (card.purpose == purpose and not has_records)
            if empty:
                assert empty[1] == f"gcnnbench run {card.name} --results my-results"


def test_cross_testing_shows_each_fold_and_the_pooled_rows(made: tuple[Registry, str]) -> None:
    html = made[1]
    folds = re.search(r'<details class="folds" open>.*?</details>', html, re.DOTALL)
    assert folds
    assert re.findall(r"<th scope=\"col\"[^>]*>(.*?)</th>", folds[0]) == [
        *("entry", "metric", "seed 0", "seed 1", "seed 2", "pooled")
    ]
    rows = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in re.findall(r"<tr>(.*?)</tr>", folds[0])[1:]]
    assert rows[0] == ["p4cnn@12", "upright", "90.00", "90.20", "90.40", "90.20"]
    assert [row[1] for row in rows] == ["upright", "orbit", "AUC"] * 2
    assert "Student&#39;s 95% interval over the folds of both" in html
    assert "p4cnn@12 − p4cnn@13" in html
    assert html.count('<details class="folds"') == 1
