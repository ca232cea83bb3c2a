"""The leaderboard's page: one file, complete, small, and inert whatever cards and records say. Browsers: `browser/`."""

from __future__ import annotations

import base64
import gzip
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
from gcnnbench.leaderboard.export import as_csv, board_data
from gcnnbench.leaderboard.records import all_records
from gcnnbench.leaderboard.tables import leaderboard
from gcnnbench.pages.charts import _path
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
    """`frame`, `lineage` or `readings`, as the page's script inflates them."""
    packed = "".join(text for _, attributes, text in elements.inside if attributes.get("id") == "data")
    return json.loads(gzip.decompress(base64.b64decode(packed)))[name]


def test_it_is_light(html: str) -> None:
    assert len(html.encode()) < 1_500_000


def test_a_gap_of_a_superseded_version_says_so(html: str, registry: Registry) -> None:
    rows = re.findall(r'<tr><td><a href="#(.*?)">.*?</a> <span class="interval">(.*?)</span>', html)
    said = {benchmark: text.partition(", ")[2] for benchmark, text in rows}
    assert {""} < set(said.values())
    for benchmark, text in said.items():
        newer = registry.benchmark(benchmark).superseded_by
        assert text == (f"superseded by version {newer}" if newer else ""), benchmark


def test_the_frame_in_it_is_the_leaderboards(elements: Elements, registry: Registry) -> None:
    boards = [board for board in leaderboard(registry, RESULTS)[0] if board.has_runs]
    assert embedded(elements, "frame") == json.loads(json.dumps([board_data(board) for board in boards]))


def test_the_csv_in_it_is_the_leaderboards(elements: Elements, registry: Registry) -> None:
    href = next(str(attributes["href"]) for tag, attributes in elements.found if attributes.get("id") == "csv")
    csv = gzip.decompress(base64.b64decode(href.removeprefix("data:application/gzip;base64,"))).decode()
    assert csv == as_csv([board for board in leaderboard(registry, RESULTS)[0] if board.has_runs])


def test_every_chart_has_values_for_all_places_of_its_axes(html: str, elements: Elements) -> None:
    readings = embedded(elements, "readings")
    figures = re.findall(r'<figure class="chart".*?</figure>', html, re.DOTALL)
    assert len(figures) == len(readings["charts"]) > 100
    for figure, chart in zip(figures, readings["charts"], strict=True):
        axes = readings["axes"][chart["axes"]]
        assert f'href="#axes-{chart["axes"]}"' in figure
        assert figure.count('<span class="key ') == figure.count('<path class="line ') == len(chart["lines"])
        assert {len(values) for values in chart["lines"]} == {len(axes["places"])} == {len(axes["xs"])}


def test_a_path_goes_by_steps() -> None:
    assert _path([(80, 20), (96, 3), (112, 3), (100, 30)]) == "M80 20l16-17 16 0-12 27"


def test_every_number_of_a_table_leads_to_its_records_whose_counts_make_it(elements: Elements) -> None:
    lineage = embedded(elements, "lineage")["rows"]
    shown = {attributes["id"] for tag, attributes in elements.found if tag == "tr" and "data-rank" in attributes}
    numbers = 0
    for board in embedded(elements, "frame"):
        for row in filter(lambda row: row["seeds"], board["rows"]):
            name = f"{board['benchmark']}/{row['entry']}"
            behind = lineage[name]["records"]
            assert name in shown
            assert [record["seed"] for record in behind] == row["seeds"]
            for record, sha256 in zip(behind, row["records"], strict=True):
                assert hashlib.sha256((RESULTS / record["path"]).read_bytes()).hexdigest() == sha256
            for metric, found in row["metrics"].items():
                if found is None:
                    continue
                values = [
                    record["counts"][metric][0] / record["counts"][metric][1]
                    if metric in record["counts"]
                    else record["values"][metric]
                    for record in behind
                ]
                assert found["n"] == len(values)
                assert sum(values) / len(values) == pytest.approx(found["mean"], rel=1e-12)
                numbers += 1
    assert numbers > 500


def test_ids_are_unique_and_every_link_inside_leads_somewhere(elements: Elements) -> None:
    ids = Counter(attributes["id"] for _, attributes in elements.found if "id" in attributes)
    assert [name for name, times in ids.items() if times > 1] == []
    links = {attributes["href"] for tag, attributes in elements.found if "href" in attributes}
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
        if attributes.get("type") != "application/octet-stream":
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
    assert sum(tag == "script" for tag, _ in elements.found) == 3
    assert "49" not in re.findall(r"gnirts.{0,40}", html)[0]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f]", html)
    origin = embedded(elements, "lineage")["origins"][0]
    assert origin.count("window.hit") == 1
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x00-\x08\x0b-\x1f]", origin)


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
    changed_rows = embedded(Elements(after), "lineage")["rows"].values()
    assert right in [record["counts"]["accuracy.upright"][0] for row in changed_rows for record in row["records"]]


def test_the_table_library_is_the_published_one_with_its_licence() -> None:
    library = (TEMPLATES / "vendor/datatables-3.1.5.min.js").read_bytes()
    assert hashlib.sha256(library).hexdigest() == DATATABLES
    assert b"</script" not in library
    assert "MIT License" in (TEMPLATES / "vendor/datatables-LICENSE.txt").read_text()
