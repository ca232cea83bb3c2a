"""Reports a check to continuous integration: a JUnit file where one is asked for, annotations on GitHub."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcnnbench.cli.written_files import file_to_write

if TYPE_CHECKING:
    from gcnnbench.exports.junit import Case

JUnit = Annotated[
    Path | None,
    typer.Option("--junit", metavar="FILE.xml", help="Also write the checks as JUnit XML.", callback=file_to_write),
]


def report_checks(suite: str, cases: Sequence[Case], junit: Path | None) -> None:
    """Write the file, and in a workflow of GitHub's one annotation for everything that is wrong."""
    from gcnnbench.disk import write_whole
    from gcnnbench.exports import junit as forms

    if junit is not None:
        write_whole(junit, forms.junit(suite, cases).encode())
    if os.environ.get("GITHUB_ACTIONS") == "true":
        typer.echo(forms.github_annotations(cases), err=True, nl=False)


def shown_path(path: Path) -> str:
    """The path below the working directory, where it is one."""
    absolute = path.absolute()
    return absolute.relative_to(Path.cwd()).as_posix() if absolute.is_relative_to(Path.cwd()) else absolute.as_posix()
