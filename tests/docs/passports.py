"""The passports in the docs are what their commands write; minutes of computing, so `tox -e docs` runs it.

Errors and bounds, whose digits depend on the machine's arithmetic, are compared by their presence. `--write` renews.
"""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

from typer.testing import CliRunner

from gcnnbench.cli.app import build_app

ROOT = Path(__file__).resolve().parents[2]
COMMAND = re.compile(r"^`gcnnbench (audit .*)`$", re.MULTILINE)
NUMBER = re.compile(r"\b\d\.\de[-+]\d\d\b")


def commands() -> list[str]:
    """The commands of docs/passports.md."""
    return COMMAND.findall((ROOT / "docs/passports.md").read_text(encoding="utf-8"))


def made(command: str, folder: Path) -> dict[str, str]:
    """The files that a command writes, by their path in the checkout; written into another folder.

    Raises:
        RuntimeError: it fails.
    """
    words, paths = shlex.split(command), {}
    for place, word in enumerate(words):
        if words[place - 1] in ("--passport", "--badge"):
            paths[word] = folder / Path(word).name
            words[place] = str(paths[word])
    done = CliRunner().invoke(build_app(), words)
    if done.exit_code != 0:
        raise RuntimeError(f"{command}: {done.exception}")
    return {name: path.read_text(encoding="utf-8") for name, path in paths.items()}


def stale(files: dict[str, str]) -> list[str]:
    """The kept files that say something else."""
    kept = {name: (ROOT / name).read_text(encoding="utf-8") for name in files}
    return [name for name, text in files.items() if NUMBER.sub("#", text) != NUMBER.sub("#", kept[name])]


def main(write: bool) -> int:
    """Compare all passports, or renew them; how many are stale."""
    import tempfile

    old: list[str] = []
    for command in commands():
        with tempfile.TemporaryDirectory() as folder:
            files = made(command, Path(folder))
        for name, text in files.items() if write else ():
            (ROOT / name).write_text(text, encoding="utf-8")
        old += stale(files)
    sys.stderr.write("".join(f"{name}: renew it with python {Path(__file__).name} --write\n" for name in old))
    return len(old)


if __name__ == "__main__":
    sys.exit(main("--write" in sys.argv))
