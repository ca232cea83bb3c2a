"""The leaderboard's page as people use it: sorted, filtered, linked to, explained, without script, dark, on a phone."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from browser.conftest import RESULTS
from browser.large import large_page

CELL = "mnist-upright@1/p4cnn@28/accuracy.upright"


def column(page: Page, benchmark: str, name: str) -> Any:
    """The texts of one column of a board, from top to bottom."""
    return page.evaluate(
        """([benchmark, name]) => {
            const table = document.querySelector(`table[data-benchmark="${benchmark}"]`);
            const place = table.querySelector(`th[data-column="${name}"]`).cellIndex;
            return Array.from(table.tBodies[0].rows, (row) => row.cells[place].textContent.trim());
        }""",
        [benchmark, name],
    )


def heading(page: Page, benchmark: str, name: str) -> Any:
    return page.locator(f'table[data-benchmark="{benchmark}"] th[data-column="{name}"]')


def test_a_click_sorts_by_numbers_and_another_one_the_other_way_round(page: Page, address: str) -> None:
    page.goto(address)
    button = heading(page, "quickstart@1", "parameters")
    button.scroll_into_view_if_needed()
    button.click()
    expect(button).to_have_attribute("aria-sort", "ascending")
    sizes = [int(text.replace(",", "")) for text in column(page, "quickstart@1", "parameters")]
    assert sizes == sorted(sizes)
    button.click()
    expect(button).to_have_attribute("aria-sort", "descending")
    again = [int(text.replace(",", "")) for text in column(page, "quickstart@1", "parameters")]
    assert again == sorted(sizes, reverse=True)
    heading(page, "quickstart@1", "invariance_error").click()
    expect(heading(page, "quickstart@1", "invariance_error")).to_have_attribute("aria-sort", "ascending")
    errors = [float(text) for text in column(page, "quickstart@1", "invariance_error")]
    assert errors == sorted(errors)
    assert min(errors) < 1e-12 < max(errors)


def test_a_table_is_sorted_by_the_keyboard(page: Page, address: str) -> None:
    page.goto(address)
    heading(page, "quickstart@1", "entry").scroll_into_view_if_needed()
    heading(page, "quickstart@1", "entry").locator("[role=button]").focus()
    page.keyboard.press("Enter")
    expect(heading(page, "quickstart@1", "entry")).to_have_attribute("aria-sort", "ascending")
    names = column(page, "quickstart@1", "entry")
    assert names == sorted(names)


def test_filters_renumber_the_ranks_and_keep_the_true_ones_beside(page: Page, address: str) -> None:
    page.goto(address)
    page.select_option("[name=benchmark]", "quickstart@1")
    before = column(page, "quickstart@1", "rank")
    page.select_option("[name=symmetry]", "approximate")
    assert set(column(page, "quickstart@1", "symmetry")) == {"approximate"}
    assert [text.partition(" (")[0] for text in column(page, "quickstart@1", "rank")] == ["1", "2"]
    assert all(text.endswith(" of all)") for text in column(page, "quickstart@1", "rank"))
    expect(page.locator("section.board:visible")).to_have_count(1)
    page.get_by_role("button", name="Show all").click()
    assert page.locator("section.board:visible").count() >= 6
    assert column(page, "quickstart@1", "rank") == before


@pytest.mark.parametrize(
    ("field", "value", "name", "holds"),
    [
        ("group", "p4m", "group", lambda text: text == "p4m"),
        ("to", "24500", "parameters", lambda text: int(text.replace(",", "")) <= 24500),
        ("from", "25000", "parameters", lambda text: int(text.replace(",", "")) >= 25000),
        ("q", "e2cnn", "entry", lambda text: "e2cnn" in text),
    ],
)
def test_each_filter_leaves_what_fits(page: Page, address: str, field: str, value: str, name: str, holds: Any) -> None:
    page.goto(address)
    place = page.locator(f"#filters [name={field}]")
    place.select_option(value) if field == "group" else place.fill(value)
    shown = column(page, "quickstart@1", name)
    assert 0 < len(shown) < 7
    assert all(holds(text) for text in shown)
    assert f"{field}={value}" in page.url


def test_a_filter_has_a_permalink(page: Page, address: str) -> None:
    page.goto(f"{address}#?symmetry=none&benchmark=quickstart@1")
    assert column(page, "quickstart@1", "entry") == ["z2cnn@12"]
    assert page.input_value("[name=symmetry]") == "none"


def test_a_device_can_be_chosen(page: Page, address: str) -> None:
    page.goto(address)
    devices = page.locator("[name=device] option").all_text_contents()
    gpu = next(name for name in devices if name.startswith("cuda"))
    page.select_option("[name=device]", gpu)
    expect(page.locator('[id="mnist-biased-20@1"]')).to_be_visible()
    expect(page.locator('[id="quickstart@1"]')).to_be_hidden()


def test_columns_are_switched_on_and_off(page: Page, address: str) -> None:
    page.goto(address)
    heading(page, "quickstart@1", "rank").scroll_into_view_if_needed()
    expect(heading(page, "quickstart@1", "macs")).to_have_count(0)
    page.get_by_text("Columns", exact=True).click()
    page.locator("[name=column][value=macs]").check()
    expect(heading(page, "quickstart@1", "macs")).to_be_visible()
    page.locator("[name=column][value='accuracy.unseen']").uncheck()
    expect(heading(page, "quickstart@1", "accuracy.unseen")).to_have_count(0)
    interval = page.locator('[id="quickstart@1/p4cnn@12/accuracy.upright"] small')
    expect(interval).to_be_hidden()
    page.locator("[name=intervals]").check()
    expect(interval).to_be_visible()


def test_a_link_to_a_number_opens_what_it_is_made_of(page: Page, address: str) -> None:
    page.goto(f"{address}#{CELL}")
    dialog = page.locator("dialog")
    expect(dialog).to_be_visible()
    record = json.loads((RESULTS / "mnist-upright@1/p4cnn@28/seed-0.json").read_text())
    text = dialog.inner_text()
    table = record["counts"]["elements"]["upright"]
    right, shown = sum(row[place] for place, row in enumerate(table)), sum(map(sum, table))
    assert f"{right:,} / {shown:,}" in text
    for part in (record["spec_digest"], record["provenance"]["commit"], record["provenance"]["device_name"]):
        assert part in text
    assert "gcnnbench explain mnist-upright@1 p4cnn@28 accuracy.upright" in text
    assert "gcnnbench verify records --benchmark mnist-upright@1 --entry p4cnn@28 --data DIR" in text
    assert "gcnnbench run" not in text, "a superseded version is not run anew"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(page.locator(f'[id="{CELL}"]')).to_be_in_viewport()


def test_a_click_on_a_number_explains_it_twice_in_a_row(page: Page, address: str) -> None:
    page.goto(address)
    link = page.locator('[id="quickstart@1/p4cnn@12/accuracy.unseen"] a')
    for _ in range(2):
        link.click()
        expect(page.locator("#explained")).to_have_text("quickstart@1 p4cnn@12 accuracy.unseen")
        expect(page.locator("dialog")).to_contain_text(
            "gcnnbench run quickstart --entry p4cnn@12 --seeds 0,1,2 --results again"
        )
        page.get_by_role("button", name="Close").click()
    assert page.url.endswith("#quickstart@1/p4cnn@12/accuracy.unseen")


def test_an_explanation_leads_to_the_claims_about_its_number(page: Page, address: str) -> None:
    page.goto(f"{address}#{CELL}")
    link = page.locator("dialog ul a").first
    name = link.inner_text()
    link.click()
    expect(page.locator(f'[id="{name}"]')).to_be_in_viewport()


def test_charts_tell_their_values_to_the_pointer_and_to_the_keyboard(page: Page, address: str) -> None:
    page.goto(f"{address}#mnist-upright@1")
    chart = page.locator('[id="mnist-upright@1"] .chart[data-entry="p4cnn@28"]').first
    chart.scroll_into_view_if_needed()
    chart.locator("svg").hover()
    expect(chart.locator(".value")).to_contain_text("°; edixhoven2023, n = 100: ")
    chart.locator("input").focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    expect(chart.locator(".value")).to_contain_text("10°; ")
    expect(chart.locator("input")).to_have_attribute("aria-valuetext", chart.locator(".value").inner_text())


def test_a_newcomer_finds_exact_networks_the_gap_and_how_to_repeat_a_number(page: Page, address: str) -> None:
    """Two clicks each, from the top of the page; what is looked for is then in view."""
    page.goto(address)
    page.get_by_role("link", name="Which networks are exact?").click()
    network = page.locator('[id="card/p4cnn"] summary')
    expect(network).to_be_in_viewport()
    expect(network.locator(".exact")).to_contain_text("exact at 12")
    network.click()
    expect(page.locator('[id="card/p4cnn"]')).to_contain_text("gcnnbench audit p4cnn --sizes 24-40")

    page.goto(address)
    page.get_by_role("link", name="What is the gap?").click()
    gaps = page.locator("#gap tbody tr")
    expect(gaps.first).to_be_in_viewport()
    told = {name for row in gaps.all() for name in row.locator("td a").all_text_contents()}
    boards = page.locator("section.board").evaluate_all("found => found.map((one) => one.id)")
    frame = page.evaluate("read().then((found) => found.frame)")
    assert told == {board["benchmark"] for board in frame if any(pair["metrics"] for pair in board["pairs"])}
    assert told <= set(boards)

    page.goto(address)
    page.get_by_role("link", name="quickstart@1", exact=True).first.click()
    number = page.locator('[id="quickstart@1/p4cnn@12/accuracy.orbit"] a')
    expect(number).to_be_in_viewport()
    number.click()
    expect(page.locator("dialog pre")).to_contain_text(
        "gcnnbench run quickstart --entry p4cnn@12 --seeds 0,1,2 --results again"
    )


def test_benchmarks_without_records_are_named_and_hidden_while_tables_are_filtered(page: Page, address: str) -> None:
    page.goto(address)
    page.locator("nav a", has_text="without records").first.click()
    empty = page.locator(".empty").first
    expect(empty.locator("li").first).to_be_in_viewport()
    assert empty.locator("li").count() == int(page.locator("nav a", has_text="without").first.inner_text().split()[0])
    page.select_option("[name=symmetry]", "exact")
    expect(page.locator(".empty:visible")).to_have_count(0)
    assert all(group.locator("section.board:visible").count() for group in page.locator(".purpose:visible").all())


def test_claims_are_searched(page: Page, address: str) -> None:
    page.goto(f"{address}#claims")
    page.fill("#claim-search", "lengyel2021")
    rows = page.locator("table.claims tbody tr")
    assert rows.count() > 0
    assert all("lengyel2021" in text for text in rows.all_text_contents())


def test_the_tables_are_downloaded_as_csv_and_as_json(page: Page, address: str) -> None:
    page.goto(address)
    found = {}
    for name in ("leaderboard.csv", "leaderboard.json"):
        with page.expect_download() as download:
            page.get_by_role("link", name=name).click()
        found[name] = Path(download.value.path()).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(found["leaderboard.csv"])))
    boards = json.loads(found["leaderboard.json"])
    assert len(rows) == sum(len(board["rows"]) for board in boards) > 30
    by_name = {(row["benchmark"], row["entry"]): row for row in rows}
    kept = json.loads((RESULTS / "tables/mnist-upright@1.json").read_text())[0]["rows"]
    exact = next(row for row in kept if row["entry"] == "p4cnn@28")["metrics"]["accuracy.upright"]["mean"]
    assert float(by_name["mnist-upright@1", "p4cnn@28"]["accuracy.upright"]) == exact


def test_without_script_it_is_a_plain_readable_page(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto(f"{address}#quickstart@1")
    table = page.locator('table[data-benchmark="quickstart@1"]')
    assert table.locator("tbody tr").count() == 7
    assert "not run" not in table.locator("tbody td").all_text_contents()
    expect(page.locator("#filters")).to_be_hidden()
    expect(page.locator('[id="quickstart@1"] .chart path.line').first).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name="leaderboard.csv.gz").click()
    with gzip.open(download.value.path(), "rt", encoding="utf-8") as text:
        assert len(list(csv.DictReader(text))) > 30
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_it_fits_a_phone_and_a_desk_in_light_and_dark_and_axe_finds_no_serious_fault(
    browser: Browser, address: str, scheme: Any, width: int
) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page = context.new_page()
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == {"light": "rgb(255, 255, 255)", "dark": "rgb(21, 23, 26)"}[scheme]
    for opened in ("", f"#{CELL}"):
        page.goto(f"{address}{opened}")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        faults = Axe().run(page).response["violations"]
        serious = [fault for fault in faults if fault["impact"] in ("serious", "critical")]
        assert not [f"{fault['id']}: {fault['nodes'][0]['html']}" for fault in serious]
    context.close()


def test_the_button_changes_light_to_dark(page: Page, address: str) -> None:
    page.goto(address)
    page.get_by_role("button", name="Dark or light").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"


def test_ten_thousand_records_open_in_under_two_seconds(browser: Browser, tmp_path: Path) -> None:
    """Seconds of computing, which other programs on the machine do not lengthen."""
    path = tmp_path / "index.html"
    path.write_text(large_page(), encoding="utf-8")
    page = browser.new_page()
    meter = page.context.new_cdp_session(page)
    meter.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(path.as_uri())
    spent = {one["name"]: one["value"] for one in meter.send("Performance.getMetrics")["metrics"]}
    assert "made from 10000" in page.inner_text("header")
    assert spent["TaskDuration"] < 2
    page.fill("[name=q]", "p4cnn-77")
    expect(page.locator("#shown")).to_have_text("20 of 2000 rows")
    page.close()
