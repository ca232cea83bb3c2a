"""Debian's Chromium, driven headless, and the page made from the committed records."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from gcnnbench.cards.registry import Registry
from gcnnbench.pages.site import site

RESULTS = Path(__file__).parents[1] / "results"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = os.environ.get("GCNNBENCH_CHROMIUM") or shutil.which("chromium")
    if path is None:
        pytest.fail("there is no Chromium: apt-get install chromium, or say where it is in GCNNBENCH_CHROMIUM")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=path)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("site") / "index.html"
    path.write_text(site(Registry.load(), RESULTS), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of 1280 pixels; whatever it writes to the console, or throws, is an error."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    opened, said = context.new_page(), []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    yield opened
    context.close()
    assert not said
