"""The checks on docs/forensics.md: those without a clone print what stands under them, the others take a clone's path.

Run this file with python and a folder of clones, each under its repository's name, to renew what stands under all, or
under those whose names follow.
"""

from __future__ import annotations

import contextlib
import io
import random
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

PAGE = Path(__file__).resolve().parents[2] / "docs" / "forensics.md"
TEXT = PAGE.read_text(encoding="utf-8")
CHECK = re.compile(r"```python\n# python ([\w-]+\.py)((?: [\w-]+)*)\n(.*?)```\n\n```text\n(.*?)```\n", re.DOTALL)
PLACE = re.compile(r"`[\w./-]+\.(?:py|sh|ipynb|txt):[\d,-]+`")
LONGEST = 18
"""Lines of code of a check: a reader has to see at a glance what it does."""


@dataclass(frozen=True)
class Check:
    """One check of the page."""

    name: str
    clones: tuple[str, ...]
    code: str
    shown: str


def checks(text: str) -> list[Check]:
    """All of a page, in order."""
    return [Check(name, tuple(clones.split()), code, shown) for name, clones, code, shown in CHECK.findall(text)]


ALL = checks(TEXT)
ALONE = [check for check in ALL if not check.clones]
CLONED = [check for check in ALL if check.clones]


def printed(check: Check) -> str:
    """What a check without a clone prints."""
    shown, state = io.StringIO(), random.getstate()
    with contextlib.redirect_stdout(shown), torch.random.fork_rng(devices=[]):
        exec(compile(check.code, check.name, "exec"), {"__name__": "__main__"})  # from our own page
    random.setstate(state)
    return shown.getvalue()


def test_every_block_of_code_is_a_check_with_its_output() -> None:
    assert len(ALL) == TEXT.count("```python") == len({check.name for check in ALL})
    assert len(ALONE) >= 10
    assert len(CLONED) >= 15
    assert all(check.shown for check in ALL)


@pytest.mark.parametrize("finding", TEXT.split("\n### ")[1:], ids=lambda finding: finding.partition("\n")[0])
def test_a_finding_has_a_place_one_check_and_what_this_suite_does(finding: str) -> None:
    section = finding.partition("\n## ")[0]
    assert PLACE.search(section)
    assert len(checks(section)) == 1
    assert "\n*Here.* " in section


@pytest.mark.parametrize("check", ALONE, ids=lambda check: check.name)
def test_a_check_without_a_clone_prints_what_the_page_shows(check: Check) -> None:
    assert printed(check) == check.shown


@pytest.mark.parametrize("check", CLONED, ids=lambda check: check.name)
def test_a_check_of_a_clone_compiles_and_takes_its_path(check: Check) -> None:
    compile(check.code, check.name, "exec")
    assert "sys.argv[1" in check.code
    assert all(re.search(rf"/{clone}@[0-9a-f]{{7}}`", TEXT) for clone in check.clones)


@pytest.mark.parametrize("check", ALL, ids=lambda check: check.name)
def test_a_check_is_short(check: Check) -> None:
    lines = [line for line in check.code.splitlines() if line.strip()]
    assert len(lines) <= LONGEST
    assert max(map(len, lines)) <= 120


def renewed(text: str, check: Check, clones: Path) -> str:
    """The page with what a check prints now."""
    words = [sys.executable, "-W", "ignore", "-c", check.code, *(str(clones / clone) for clone in check.clones)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{check.name}: {done.stderr}")
    block = f"{check.code}```\n\n```text\n"
    return text.replace(f"{block}{check.shown}```\n", f"{block}{done.stdout}```\n")


if __name__ == "__main__":
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    for check in (check for check in ALL if check.name in names or not names):
        PAGE.write_text(renewed(PAGE.read_text(encoding="utf-8"), check, folder), encoding="utf-8")
