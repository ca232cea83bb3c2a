"""`audit --zoo`: other people's networks, claimed beside found."""

from __future__ import annotations

from pathlib import Path

import typer

from gcnnbench.cli.foreign_output import foreign_output
from gcnnbench.errors import UserError


def audit_zoo(only: str | None, checkouts: Path | None, write: Path | None) -> None:
    """Audit the networks of the zoo, and print or write the page.

    Args:
        only: the name of one card; all where none is given.
        checkouts: a folder with clones of the repositories that are no packages.
        write: the page's file.

    Raises:
        UserError: there is no such card, or the folder of clones is none.
    """
    from gcnnbench.disk import write_whole
    from gcnnbench.zoo import auditing
    from gcnnbench.zoo.cards import read_zoo
    from gcnnbench.zoo.text import line, page

    cards = read_zoo()
    chosen = [card for card in cards if only in (None, card.name)]
    if not chosen:
        raise UserError(f"there is no card '{only}' in the zoo: one of {', '.join(card.name for card in cards)}")
    if checkouts is not None and not checkouts.is_dir():
        raise UserError(f"--checkouts (={str(checkouts)!r}) is no folder")
    with foreign_output():
        rows = auditing.audit_zoo(chosen, checkouts, lambda row: typer.echo(line(row), err=True))
    if write is None:
        typer.echo(page(rows), nl=False)
    else:
        write_whole(write, page(rows).encode())
        typer.echo(f"wrote {write}", err=True)
