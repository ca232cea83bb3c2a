"""The page that lists what is registered is the one that the cards make."""

from __future__ import annotations

import shutil
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


def test_what_a_card_says_is_no_markup(tmp_path: Path) -> None:
    hostile = r"<img src=x onerror=alert(1)> [x](javascript:alert(2)) a\|b"
    (tmp_path / "evil").mkdir()
    shutil.copyfile(ROOT / "models/p4cnn/model.py", tmp_path / "evil/model.py")
    card = (ROOT / "models/p4cnn/model.yaml").read_text("utf-8").replace("name: p4cnn\n", "name: evil\n")
    (tmp_path / "evil/model.yaml").write_text(card.replace("title: P4CNN of the MNIST study", f"title: '{hostile}'"))
    (row,) = (line for line in page(Registry.load([tmp_path])).splitlines() if line.startswith("| [evil]("))
    assert row.startswith(
        r"| [evil](../models/evil/model.yaml) "
        r"| &lt;img src=x onerror=alert(1)> [x]\(javascript:alert(2)) a\\\|b | p4 | 12, 16, 28 |"
    )
