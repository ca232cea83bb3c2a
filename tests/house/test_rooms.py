"""Rooms import downwards only, never in circles; tables, `list` and `--help` need no torch; tests mirror the rooms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.imports import Graph, When, circles, graph, reached

ROOMS = (
    "__init__ errors statistics device disk escaping float32_precision foreign_code formatting git layout outside_text "
    "plain_files strict_json models datasets",
    "cards",
    "data",
    "nn",
    "architectures",
    "rewriting",
    "training scoring",
    "equivariance probes",
    "runs",
    "leaderboard",
    "claims compare perf",
    "determinism",
    "record_checks explain figures passport zoo",
    "submissions",
    "pages exports",
    "cli",
    "api __main__",
)
"""From the ground up: a room imports from itself and from lines below its own. Only the first line is one room."""

WITHOUT_TORCH = ("cards", "leaderboard", "cli", "runs.cell", "runs.plan", "runs.spec", "runs.store", "runs.record")
"""What is imported to print a table, a list of cards or a help text."""

COMMANDS = {
    "--help": ("torch", "pydantic", "yaml", "numpy"),
    "list": ("torch", "numpy"),
    "leaderboard quickstart": ("torch",),
}
"""What each quick command must not import."""

WHOLE_SUITE = {"house", "ground", "packaging", "docs", "fingerprints", "soak"}
"""Folders of tests that are about no single room."""


def upward(imports: Graph) -> list[str]:
    """The imports that go to a room above the importing one, or beside it."""
    level = {room: number for number, line in enumerate(ROOMS) for room in line.split()}
    found = []
    for name, targets in imports.items():
        here = name.partition(".")[0]
        for target in sorted({one.target for one in targets if one.own}):
            there = target.partition(".")[0]
            beside = there != here and level[there] == level[here] > 0
            if beside or level[there] > level[here]:
                found.append(f"{name} imports {target}")
    return found


def heavy(imports: Graph) -> list[str]:
    """The modules that must be quick and import torch, with the module through which they do."""
    quick = [name for name in imports if any(name == one or name.startswith(f"{one}.") for one in WITHOUT_TORCH)]
    all_reached = {name: reached(imports, name, When.WITH_THE_MODULE) for name in quick}
    return [f"{name} imports torch in {found['torch']}" for name, found in all_reached.items() if "torch" in found]


def test_every_room_stands_in_the_table_once() -> None:
    listed = [room for line in ROOMS for room in line.split()]
    assert sorted(listed) == sorted({name.partition(".")[0] for name in graph()})


def test_imports_run_one_way() -> None:
    imports = graph()
    assert sum(one.own for targets in imports.values() for one in targets) > 500, "the imports were not read"
    assert upward(imports) == []
    assert circles(imports) == []


@pytest.mark.parametrize(
    ("module", "line", "expected"),
    [
        ("cards.recipe", "from gcnnbench.runs import store", "cards.recipe imports runs.store"),
        ("nn.groups", "def late():\n    from gcnnbench.training.loop import train", "nn.groups imports training.loop"),
        ("scoring.macs", "from gcnnbench.training.loop import Task", "scoring.macs imports training.loop"),
        ("errors", "import gcnnbench.device, gcnnbench.cards", "errors imports cards"),
        ("data.parts", "if TYPE_CHECKING:\n    from gcnnbench.runs.cell import Cell", "data.parts imports runs.cell"),
    ],
)
def test_a_planted_upward_import_is_seen(module: str, line: str, expected: str) -> None:
    assert set(upward(graph(**{module: line}))) - set(upward(graph())) == {expected}


def test_a_planted_circle_is_seen() -> None:
    found = circles(graph(nn__groups="def late():\n    from gcnnbench.nn.fields import Field"))
    assert {"nn.fields -> nn.groups -> nn.fields", "nn.groups -> nn.fields -> nn.groups"} & set(found)


def test_what_must_be_quick_imports_no_torch() -> None:
    assert heavy(graph()) == []


@pytest.mark.parametrize(
    ("module", "line", "expected"),
    [
        ("cards.bibliography", "import torch", "cards.bibliography imports torch in cards.bibliography"),
        ("cards.values", "from torch import nn", "cards.values imports torch in cards.values"),
        ("leaderboard.frame", "import gcnnbench.nn.groups", "leaderboard.tables imports torch in nn.groups"),
        ("cli.options", "from torch import nn", "cli.run_verb imports torch in cli.options"),
    ],
)
def test_torch_planted_where_it_is_slow_is_seen(module: str, line: str, expected: str) -> None:
    assert expected in heavy(graph(**{module: line}))


def test_torch_in_a_function_or_for_types_is_no_cost() -> None:
    deferred = "def late():\n    import torch\nif TYPE_CHECKING:\n    import torch"
    assert heavy(graph(cards__bibliography=deferred)) == []


@pytest.mark.parametrize("command", COMMANDS)
def test_a_quick_command_imports_nothing_heavy(command: str) -> None:
    code = (
        "import sys\nfrom gcnnbench.cli import main\n"
        f"try:\n    main({command.split()!r})\n"
        f"finally:\n    assert not (heavy := {set(COMMANDS[command])!r} & sys.modules.keys()), heavy"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_tests_mirror_the_rooms() -> None:
    folders = {path.parent.relative_to(Path(__file__).parents[1]).parts[0] for path in _tests()}
    rooms = {room for line in ROOMS for room in line.split()}
    assert folders - rooms - WHOLE_SUITE == set()


def _tests() -> list[Path]:
    return sorted(Path(__file__).parents[1].rglob("test_*.py"))
