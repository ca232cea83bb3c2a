"""Every command that README, CONTRIBUTING or the docs print is one: its verb, options and names are known.

So is a span that begins with a verb and leaves the rest to the reader, as `run --jobs 7`, also in the changelog and
in ARCHITECTURE.md, and every environment of tox.

What is quick and reads only is run here, from the root of the checkout. Transcripts are run by `test_transcripts.py`,
passports by `passports.py` (`tox -e docs`), and what trains, fetches or packs by the tests of its verb.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from gcnnbench.cards.base import split_entry
from gcnnbench.cards.registry import Registry
from gcnnbench.cli.app import build_app
from gcnnbench.perf.suite import SECTIONS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHORT_DOCUMENTS = [ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *DOCUMENTS]
BLOCK = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`]+)`")
CALL = re.compile(r"(?:^|[\s/])gcnnbench ([^&|;]*)")
BASH = shutil.which("bash") or "bash"
RUN_HERE = ("show", "schema", "explain")
PLACEHOLDER = re.compile(r"[A-Z]{1,9}(\.\w+)?|<\w+>|my-\S*|\S*/my-\S*|elsewhere")
"""Words that stand for a reader's own."""


def calls(text: str) -> list[str]:
    """The lines of code blocks, and the spans of the text between them, each on one line."""
    lines = [line.partition(" # ")[0] for block in BLOCK.findall(text) for line in block.splitlines()]
    return [" ".join(one.split()) for one in (*lines, *SPAN.findall(BLOCK.sub("", text)))]


def printed(text: str) -> list[str]:
    """The commands of a document, wherever on a line one begins, without brackets around what may be left out."""
    found = [command for call in calls(text) for command in CALL.findall(call)]
    return [command.replace("[", "").replace("]", "").replace("…", "").strip("' ") for command in found]


REGISTRY = Registry.load()
COMMAND = get_command(build_app())
COMMANDS = list(dict.fromkeys(command for document in DOCUMENTS for command in printed(document.read_text())))


def verb_of(command: str) -> str:
    words = command.split()
    return " ".join(words[: 2 if words[0] == "verify" else 1])


def parsed(command: str) -> dict[str, Any]:
    """The values of a command's options and arguments, as its verb would get them; nothing is run.

    Raises:
        Exception: of click, where the command line would refuse it.
    """
    words = shlex.split(command.replace("<", "").replace(">", ""))
    here: Any = COMMAND
    context = here.make_context("gcnnbench", [], resilient_parsing=True)
    while hasattr(here, "commands"):
        name = words.pop(0)
        here = here.commands[name]
    values: dict[str, Any] = here.make_context(name, ["1" if word == "N" else word for word in words], context).params
    return values


@pytest.mark.parametrize("command", COMMANDS)
def test_a_printed_command_is_one(command: str) -> None:
    """Also what it names: benchmarks, models and entries that are no placeholders are registered."""
    whole = len(command.split()) > len(verb_of(command).split())
    if whole:
        parsed(command)
    for word in shlex.split(command.replace("<", "").replace(">", "")):
        if re.fullmatch(r"[a-z0-9-]+@\d+", word) and not PLACEHOLDER.fullmatch(word):
            assert word in REGISTRY.versions() or split_entry(word)[0] in REGISTRY.models, word


def unknown_parts(text: str) -> list[str]:
    """The shortened commands of a text with an option that their verb has not, and environments that tox has not."""
    found = []
    for span in calls(text):
        words = span.split()
        here: Any = COMMAND
        while words and words[0] in getattr(here, "commands", {}):
            here = here.commands[words.pop(0)]
        known = {name for option in getattr(here, "params", ()) for name in (*option.opts, *option.secondary_opts)}
        options = [word.partition("=")[0] for word in words if word.startswith("--")]
        found += [span for option in options if here is not COMMAND and option not in known]
    environments = re.findall(r"\btox -e ([\w,]+)", text)
    there = re.findall(r"^\[testenv:(\w+)\]", (ROOT / "tox.ini").read_text("utf-8"), re.MULTILINE)
    return found + [f"tox -e {name}" for names in environments for name in names.split(",") if name not in there]


@pytest.mark.parametrize("document", SHORT_DOCUMENTS, ids=[str(path.relative_to(ROOT)) for path in SHORT_DOCUMENTS])
def test_a_shortened_command_has_options_of_its_verb(document: Path) -> None:
    assert unknown_parts(document.read_text("utf-8")) == []


def test_what_no_command_is_is_seen() -> None:
    text = (
        "`gcnnbench leaderbord` and\n```\n$ gcnnbench audit p4cnn --size 28\n```\n"
        "`gcnnbench run\nquickstart --seeds 0`,\n"
        "```bash\npip install x && venv/bin/gcnnbench list --all && salloc -n 8 gcnnbench site # the page\n```\n"
        "`run --job 7`, `verify records --retrian`, `run --jobs 7`, `tox -e test`, `tox -e tests`"
    )
    assert printed(text) == ["audit p4cnn --size 28", "list --all", "site", "leaderbord", "run quickstart --seeds 0"]
    assert unknown_parts(text) == ["run --job 7", "verify records --retrian", "tox -e test"]
    with pytest.raises(KeyError, match="leaderbord"):
        parsed("leaderbord quickstart")
    with pytest.raises(Exception, match="--size"):
        parsed("audit p4cnn --size 28")


def runnable(command: str) -> bool:
    words = shlex.split(command.replace("<", "").replace(">", ""))
    whole = not any(PLACEHOLDER.fullmatch(word) for word in words)
    return verb_of(command) in RUN_HERE and whole and "--write" not in words and "--include" not in words


@pytest.mark.parametrize("command", [command for command in COMMANDS if runnable(command)])
def test_what_is_quick_and_reads_only_runs(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    words = shlex.split(command)
    done = CliRunner().invoke(build_app(), words)
    assert done.exit_code in (0, 1), done.exception
    assert not done.exception or isinstance(done.exception, SystemExit), done.exception
    assert done.stdout


def test_every_verb_is_run_by_a_test_through_the_command_line() -> None:
    tests = "".join(path.read_text() for path in sorted((ROOT / "tests").rglob("*.py")))
    for verb in dict.fromkeys(verb_of(command) for command in COMMANDS):
        words = ", ".join(f'"{word}"' for word in verb.split())
        assert verb in RUN_HERE or re.search(rf"[(\[]{words}", tests), verb


def test_the_script_for_a_gpu_asks_for_what_there_is(tmp_path: Path) -> None:
    """Its minutes on a borrowed machine are few: run here with stand-ins, every command of it is one."""
    for name in ("gcnnbench", "python"):
        (tmp_path / name).write_text('#!/bin/sh\necho "$(basename "$0") $*" >> "$CALLS"\n', encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    calls = tmp_path / "calls"
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "CALLS": str(calls)}
    script = [BASH, str(ROOT / "perf/on_a_gpu.sh"), "data", str(tmp_path / "out")]
    ended = subprocess.run(script, env=environment, capture_output=True, text=True, check=True)
    names = [line.split(":")[0] for line in ended.stdout.splitlines()]
    assert names[: len(set(names))] == sorted(set(names), key=names.index)
    made = [shlex.split(line) for line in calls.read_text(encoding="utf-8").splitlines()]
    assert len(made) == len(set(names)) >= 7
    for program, *words in made:
        if program == "python":
            marked = [ROOT / word for word in words if word.startswith("tests/")]
            assert marked
            assert all("pytest.mark.gpu" in path.read_text(encoding="utf-8") for path in marked)
            continue
        values = parsed(shlex.join(words))
        assert {split_entry(entry)[0] for entry in values.get("entries") or ()} <= REGISTRY.models.keys()
        assert set(values.get("sections") or ()) <= SECTIONS.keys()
        for benchmark in values.get("benchmarks") or ():
            assert {*(values["entries"] or ())} <= {*REGISTRY.benchmark(benchmark).entries}


def test_fetch_verifies_what_is_embedded(tmp_path: Path) -> None:
    done = CliRunner().invoke(build_app(), ["fetch", "digits", "--data", str(tmp_path)])
    assert done.exit_code == 0, done.exception
    assert "digits: ready" in done.stdout


def test_perf_compares_the_reports_of_the_docs() -> None:
    files = [str(path) for path in sorted((ROOT / "docs/perf").glob("*.json"))]
    done = CliRunner().invoke(build_app(), ["perf", "--compare", *files[:2]])
    assert done.exit_code in (0, 1), done.exception
    assert " B / A |" in done.stdout


def test_site_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gcnnbench.pages.site.site", lambda *_: "<!doctype html>")
    done = CliRunner().invoke(build_app(), ["site", "--out", str(tmp_path / "site")])
    assert done.exit_code == 0, done.exception
    assert (tmp_path / "site/index.html").read_text() == "<!doctype html>"
