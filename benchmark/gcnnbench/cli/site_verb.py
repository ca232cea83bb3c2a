"""`site`: writes the leaderboard as one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gcnnbench.cli.options import Include, Results
from gcnnbench.cli.written_files import folder_to_write_in


def site(
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="DIR", help="Where index.html is written.", callback=folder_to_write_in)
    ] = Path("site"),
    results: Results,
    include: Include,
) -> None:
    """Make the leaderboard's page: one HTML file that needs no server, no network and no JavaScript to be read.

    With JavaScript its tables sort and filter, and a click on a number shows the records that it is made of.
    """
    from gcnnbench.cards.registry import Registry
    from gcnnbench.cli.progress import steps
    from gcnnbench.disk import write_whole
    from gcnnbench.pages.site import PAGE, site

    made = site(Registry.load(include), results, lambda boards: steps(boards, lambda board: board.benchmark))
    write_whole(out / PAGE, made.encode())
    typer.echo(f"wrote {out / PAGE}", err=True)
