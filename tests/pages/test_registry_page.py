"""The page that lists what is registered is the one that the cards make."""

from __future__ import annotations

from pathlib import Path

from gcnnbench.cards.registry import Registry
from gcnnbench.pages.registry import PAGE, page

ROOT = Path(__file__).parents[2]


def test_the_page_is_not_stale() -> None:
    again = f"{PAGE} is not what the cards say; make it again: gcnnbench list --write {PAGE}"
    assert (ROOT / PAGE).read_text(encoding="utf-8") == page(Registry.load()), again


def test_the_page_names_every_card_and_its_links_lead_somewhere() -> None:
    registry, text = Registry.load(), page(Registry.load())
    for name in (*registry.models, *registry.datasets, *(card.full_name for card in registry.benchmarks.values())):
        assert f"| [{name}](" in text
    links = [part.partition(")")[0] for part in text.split("](")[1:]]
    assert links
    assert all((ROOT / "docs" / link).is_file() for link in links)
