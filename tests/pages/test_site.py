"""The leaderboard's page: one file, complete, small, and inert whatever cards and records say. Browsers: `browser/`."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from gcnnbench.cards.registry import Registry
from gcnnbench.data.copies import on_copies
from gcnnbench.leaderboard.export import board_data
from gcnnbench.leaderboard.records import all_records
from gcnnbench.leaderboard.tables import leaderboard
from gcnnbench.pages.site import TEMPLATES, page, site
from gcnnbench.scoring.metrics import metrics

RESULTS = Path(__file__).parents[2] / "results"
DATATABLES = "38017a5586acd9c6eb6bbfe8b6938e1a25bdc717c5acfcb07e0c9d663282c59d"
"""sha256 of `js/dataTables.min.js` in the npm package datatables.net 3.1.5."""


class Elements(HTMLParser):
    """Every element with its attributes, and the text inside scripts and styles."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[tuple[str, dict[str, str | None], str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] in ("script", "style") and self.cdata_elem:
            before = self.inside.pop()[2] if self.inside and self.inside[-1][1] is self.found[-1][1] else ""
            self.inside.append((*self.found[-1], before + data))


@pytest.fixture(scope="module")
def registry() -> Registry:
    return on_copies(Registry.load(), RESULTS)


@pytest.fixture(scope="module")
def html(registry: Registry) -> str:
    return site(registry, RESULTS)


@pytest.fixture(scope="module")
def elements(html: str) -> Elements:
    return Elements(html)


def embedded(elements: Elements, name: str) -> Any:
    return json.loads("".join(text for _, attributes, text in elements.inside if attributes.get("id") == name))


def test_it_is_light(html: str, registry: Registry) -> None:
    """Half a megabyte for the library, cards and claims, and at most 15 kB for each row with its curve and lineage."""
    rows = sum(bool(row.seeds) for board in leaderboard(registry, RESULTS)[0] for row in board.rows)
    assert len(html.encode()) < 500_000 + 15_000 * rows


def test_the_frame_in_it_is_the_leaderboards(elements: Elements, registry: Registry) -> None:
    boards = [board for board in leaderboard(registry, RESULTS)[0] if board.has_runs]
    assert embedded(elements, "frame") == [board_data(board) for board in boards]


def test_every_number_of_a_table_leads_to_its_records_whose_counts_make_it(elements: Elements) -> None:
    rows = embedded(elements, "lineage")["rows"]
    means = {
        (board["benchmark"], row["entry"]): row["metrics"]
        for board in embedded(elements, "frame")
        for row in board["rows"]
        if row["seeds"]
    }
    cells = [str(attributes["id"]) for tag, attributes in elements.found if tag == "td" and "id" in attributes]
    assert len(cells) > 200
    for cell in cells:
        benchmark, entry, metric = cell.split("/")
        row = rows[f"{benchmark}/{entry}"]
        mean = means[benchmark, entry][metric]
        assert mean["n"] == len(row["records"])
        for record in row["records"]:
            content = (RESULTS / record["path"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == record["sha256"]
        values = [
            record["counts"][metric][0] / record["counts"][metric][1]
            if metric in record["counts"]
            else record["values"][metric]
            for record in row["records"]
        ]
        assert sum(values) / len(values) == pytest.approx(mean["mean"], rel=1e-12)


def test_ids_are_unique_and_every_link_inside_leads_somewhere(elements: Elements) -> None:
    ids = Counter(attributes["id"] for _, attributes in elements.found if "id" in attributes)
    assert [name for name, times in ids.items() if times > 1] == []
    links = {attributes["href"] for tag, attributes in elements.found if tag == "a" and "href" in attributes}
    assert {link for link in links if link and link.startswith("#") and link[1:] not in ids} == set()


def test_nothing_is_loaded_and_only_what_the_policy_names_runs(elements: Elements) -> None:
    policy = next(str(found["content"]) for tag, found in elements.found if found.get("http-equiv"))
    assert policy.startswith("default-src 'none'")
    for tag, attributes in elements.found:
        assert not any(name.startswith("on") for name in attributes), attributes
        assert "style" not in attributes
        for name in ("src", "href", "action"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:")) or not value, (tag, value)
    for tag, attributes, text in elements.inside:
        if attributes.get("type") != "application/json":
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy, tag


HOSTILE = (
    "</script><script>window.hit = 1</script><img src=x onerror=alert(1)> "
    "\u202egnirts\u2066 \x1b[31m\x00 {{ 7*7 }} & ' \""
)


def test_text_from_outside_is_inert_wherever_it_stands(registry: Registry) -> None:
    card = registry.benchmark("quickstart").model_copy(
        update={"summary": HOSTILE, "title": HOSTILE, "deviations": (HOSTILE,)}
    )
    models = {
        name: model.model_copy(
            update={"title": HOSTILE, "summary": HOSTILE, "citation": HOSTILE, "authors": (HOSTILE,)}
        )
        for name, model in registry.models.items()
    }
    hostile = replace(
        registry,
        benchmarks={**registry.benchmarks, "quickstart": card},
        models=models,
        bibliography=dict.fromkeys(registry.bibliography, HOSTILE),
    )
    (board,) = leaderboard(registry, RESULTS, ["quickstart"])[0]
    rows = tuple(replace(row, group=HOSTILE) for row in board.rows)
    board = replace(board, title=HOSTILE, findings=(HOSTILE,), rows=rows)
    kept = all_records(registry, RESULTS)
    name = card.full_name
    kept[name] = [
        replace(
            one,
            record=one.record.model_copy(
                update={"provenance": one.record.provenance.model_copy(update={"platform": HOSTILE})}
            ),
        )
        for one in kept[name]
    ]
    html = page(hostile, [board], kept, [], [], {})
    elements = Elements(html)
    assert html.count("window.hit") > 20
    assert not [tag for tag, attributes in elements.found if tag == "img" or "onerror" in attributes]
    assert sum(tag == "script" for tag, _ in elements.found) == 4
    assert "49" not in re.findall(r"gnirts.{0,40}", html)[0]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f]", html)
    assert embedded(elements, "lineage")["origins"][0].count("window.hit") == 1


def test_a_record_changed_by_one_count_changes_the_page(registry: Registry, html: str) -> None:
    kept = all_records(registry, RESULTS)
    boards = [board for board in leaderboard(registry, RESULTS)[0] if board.benchmark == "quickstart@1"] or [
        board for board in leaderboard(registry, RESULTS)[0] if board.benchmark.startswith("quickstart@")
    ]
    name = boards[0].benchmark
    digest = boards[0].rows[0].records[0]
    before = page(registry, boards, kept, [], [], {})
    assert page(registry, boards, kept, [], [], {}) == before
    place = next(number for number, one in enumerate(kept[name]) if one.sha256 == digest)
    counts = json.loads(kept[name][place].record.counts.model_dump_json())
    table = counts["elements"]["upright"]
    table[0][0], table[0][1] = table[0][0] - 1, table[0][1] + 1
    changed = type(kept[name][place].record.counts).model_validate_json(json.dumps(counts))
    record = kept[name][place].record.model_copy(update={"counts": changed})
    run = replace(kept[name][place].run, metrics=metrics(changed, ["upright"], invariance_error=None))
    kept[name][place] = replace(kept[name][place], record=record, run=run)
    after = page(registry, boards, kept, [], [], {})
    right = sum(row[number] for number, row in enumerate(table))
    assert before != after
    assert f'"accuracy.upright":[{right},' in after


def test_the_table_library_is_the_published_one_with_its_licence() -> None:
    library = (TEMPLATES / "vendor/datatables-3.1.5.min.js").read_bytes()
    assert hashlib.sha256(library).hexdigest() == DATATABLES
    assert b"</script" not in library
    assert "MIT License" in (TEMPLATES / "vendor/datatables-LICENSE.txt").read_text()
