"""`fetch`: downloads data sets, or takes those that are there, and verifies them."""

from __future__ import annotations

from typing import Annotated

import typer

from gcnnbench.cli.options import Data, Include


def fetch(
    datasets: Annotated[
        list[str], typer.Argument(metavar="DATASET", help="Which data sets; `list datasets` shows them.")
    ],
    *,
    data: Data,
    include: Include,
) -> None:
    """Download data sets and verify them; files that are there and right are kept. Nothing else uses the network."""
    from gcnnbench.cards.registry import Registry

    registry = Registry.load(include)
    cards = [registry.dataset(name) for name in dict.fromkeys(datasets)]

    from gcnnbench.data import fetching
    from gcnnbench.errors import UserError, told

    failures = []
    for card in cards:
        try:
            fetching.fetch(card, registry.module("dataset", card.name), data, lambda line: typer.echo(line, err=True))
        except (UserError, OSError) as error:
            failures.append(told(error))
        else:
            typer.echo(f"{card.name}: ready in {data}" if card.files else f"{card.name}: ready")
    if failures:
        raise UserError("\n".join(failures))
