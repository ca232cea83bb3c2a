"""The command line called in this process."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from gcnnbench.cli.app import build_app


def called(*arguments: str | Path) -> Result:
    return CliRunner().invoke(build_app(), [str(argument) for argument in arguments])
