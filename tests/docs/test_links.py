"""Links of README and docs lead to files of the repository; the site of the docs names only pages that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def broken(document: Path) -> list[str]:
    """The links of a document that lead to no file; those to the web are not followed."""
    links = [link.partition("#")[0] for link in LINK.findall(document.read_text())]
    inside = [link for link in links if link and "://" not in link]
    return [link for link in inside if not (document.parent / link).exists()]


@pytest.mark.parametrize("document", DOCUMENTS, ids=[str(document.relative_to(ROOT)) for document in DOCUMENTS])
def test_links_lead_to_files(document: Path) -> None:
    assert broken(document) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("[a](a.md#part) [b](missing.md) [c](https://example.org)")
    assert broken(tmp_path / "a.md") == ["missing.md"]


def test_every_page_of_the_docs_stands_in_the_navigation() -> None:
    nav = yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]
    named: set[str] = set(re.findall(r"[\w/-]+\.md", str(nav)))
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in DOCUMENTS[1:]}
    left_out = {page for page in pages if page.startswith(("perf/", "studies/", "examples/"))}
    assert named == pages - left_out


def test_the_readme_comes_in_the_order_of_its_reader() -> None:
    text = (ROOT / "README.md").read_text()
    order = [
        "## Is *my* network equivariant?",
        "docs/figures/strided-size.svg",
        "$ gcnnbench leaderboard quickstart --top 5",
        "## Published, and measured again",
        "# run the main job",
        "# pass the tests",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
