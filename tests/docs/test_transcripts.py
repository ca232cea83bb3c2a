"""What README and docs print under a command is what the command prints; no number in them is typed by hand.

Run this file with python to renew the transcripts.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"```console\n\$ (gcnnbench [^\n]*)\n(.*?)```\n", re.DOTALL)
ERRORS = re.compile(r"\b\d\.\de-\d\d\b")
"""Measured errors, whose digits depend on the machine's arithmetic; compared by their presence."""

UNREPEATABLE = ("gcnnbench run", "gcnnbench fetch", "gcnnbench new", "gcnnbench submit")
"""Verbs whose output holds times, or that use the network or write files; their transcripts are not renewed."""


def transcripts(document: Path) -> list[tuple[str, str]]:
    """The commands of a document's console blocks with what is printed under each."""
    return [
        (found[1], found[2]) for found in BLOCK.finditer(document.read_text()) if not found[1].startswith(UNREPEATABLE)
    ]


def output_of(command: str) -> str:
    """What a command prints on stdout, from the root of the checkout, with the results that are committed there."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("GCNNBENCH_", "COLUMNS"))}
    environment |= {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path]), "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "gcnnbench", *shlex.split(command)[1:]]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=environment, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{command}: {done.stderr}")
    return done.stdout


CASES = [(document, command, shown) for document in DOCUMENTS for command, shown in transcripts(document)]


def test_there_is_something_to_check() -> None:
    assert any(document.name == "README.md" and "leaderboard quickstart" in command for document, command, _ in CASES)


@pytest.mark.parametrize(("document", "command", "shown"), CASES, ids=[case[1] for case in CASES])
def test_a_transcript_is_what_the_command_prints(document: Path, command: str, shown: str) -> None:
    assert ERRORS.sub("#", output_of(command)) == ERRORS.sub("#", shown), (
        f"{document.name}: renew it with python {Path(__file__).relative_to(ROOT)}"
    )


def words_of(figure: Path) -> list[str]:
    """The title and the description that a figure carries for those who cannot see it."""
    return re.findall(r"<dc:(?:title|description)>([^<]*)</dc:", figure.read_text(encoding="utf-8"))[:2]


def test_the_words_of_the_readme_s_figure_are_those_that_its_command_writes(tmp_path: Path) -> None:
    """Two sizes are enough for the words."""
    command = re.search(r"made by `(gcnnbench audit \S+) --sizes \S+ --figure (\S+)`", (ROOT / "README.md").read_text())
    assert command is not None
    output_of(f"{command[1]} --sizes 28,29 --figure {tmp_path / 'figure'}")
    assert words_of(ROOT / f"{command[2]}-size.svg") == words_of(tmp_path / "figure-size.svg") != []


if __name__ == "__main__":
    for document in DOCUMENTS:
        text = document.read_text()
        for command, shown in transcripts(document):
            old = f"```console\n$ {command}\n{shown}```\n"
            text = text.replace(old, f"```console\n$ {command}\n{output_of(command)}```\n")
        document.write_text(text)
