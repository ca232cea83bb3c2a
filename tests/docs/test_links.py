"""Links of documents lead to files of the repository and to headings; the site names only pages that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
LINKING = [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(document: Path) -> set[str]:
    """The anchors of a document's headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(document: Path, link: str) -> bool:
    path, _, anchor = link.partition("#")
    target = document.parent / path if path else document
    return target.exists() and (not anchor or target.suffix != ".md" or anchor in anchors(target))


def broken(document: Path) -> list[str]:
    """The links of a document that lead to no file or to no heading of it; those to the web are not followed."""
    links = [link for link in LINK.findall(document.read_text()) if "://" not in link]
    return [link for link in links if not leads_somewhere(document, link)]


@pytest.mark.parametrize("document", LINKING, ids=[str(document.relative_to(ROOT)) for document in LINKING])
def test_links_lead_to_files(document: Path) -> None:
    assert broken(document) == []


def test_a_broken_link_is_seen(tmp_path: Path) -> None:
    links = "[a](a.md#one-part-here) [b](missing.md) [c](https://example.org) [d](#other) [e](a.md#part)"
    (tmp_path / "a.md").write_text(f"## One part, `here`\n{links}")
    assert broken(tmp_path / "a.md") == ["missing.md", "#other", "a.md#part"]


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
