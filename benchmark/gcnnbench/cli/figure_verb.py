"""`figure`: draws what the records say, as SVG and PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gcnnbench.cli.advice import advised
from gcnnbench.cli.options import Format, Include, OutputFormat, Results
from gcnnbench.cli.output import tell, tell_document
from gcnnbench.cli.written_options import refuse_others


def figure(
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Which one; without it they are listed.", show_default=False)
    ] = None,
    *,
    benchmark: Annotated[
        str | None, typer.Option("--benchmark", metavar="NAME", help="Of this benchmark.", show_default=False)
    ] = None,
    family: Annotated[
        str | None, typer.Option("--family", metavar="NAME", help="Of this family of benchmarks.", show_default=False)
    ] = None,
    folder: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where the files are written.")] = Path(
        "figures"
    ),
    results: Results,
    include: Include,
    output: Format,
) -> None:
    """Draw a figure of the records as SVG and PNG, and print its caption, alternative text and command."""
    from gcnnbench.cards.registry import Registry

    if name is None:
        refuse_others("without NAME, which lists the figures", "output")
    registry = Registry.load(include)
    registry.chosen([benchmark] if benchmark else [])
    if family:
        registry.family(family)

    from gcnnbench.figures.gallery import FIGURES, draw
    from gcnnbench.layout import folded

    if name is None:
        if output is OutputFormat.json:
            tell_document(dict(FIGURES))
        else:
            tell("\n".join(f"{each:<12}{what}" for each, what in FIGURES.items()))
        return
    drawn = draw(registry, results, name, benchmark, folder, family)
    words = {"title": drawn.title, "caption": drawn.caption, "alt": drawn.alt, "command": drawn.command}
    if output is OutputFormat.json:
        files = [str(path) for path in drawn.files]
        tell_document({"files": files, **words, "command": advised(drawn.command)}, advise=False)
        return
    for path in drawn.files:
        typer.echo(str(path))
    for title, text in words.items():
        tell("\n" + folded(text, first=f"{title.capitalize()}: ", indent="  "))
