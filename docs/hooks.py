"""Fills in the reference of the command line from the commands themselves."""

from __future__ import annotations

from typing import Any

import click
from typer.cli import get_docs_for_click
from typer.main import get_command

from gcnnbench.cli.app import build_app


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Every command with its options, as `--help` has them, in the place of the comment."""
    if "<!-- commands -->" not in markdown:
        return markdown
    command = get_command(build_app())
    text = get_docs_for_click(obj=command, ctx=click.Context(command), name="gcnnbench")
    return markdown.replace("<!-- commands -->", text.replace("\n# ", "\n## ").removeprefix("# `gcnnbench`"))
