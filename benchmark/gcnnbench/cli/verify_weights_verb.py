"""`verify weights`: weights that others released, scored, beside the numbers that they published."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gcnnbench.cli.exit_codes import CHECK_FAILED
from gcnnbench.cli.options import Data, Format, Include, OutputFormat
from gcnnbench.errors import UserError


def weights(
    *,
    weights: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="A folder with the released files, under any names; each is known by its sha256."
        ),
    ],
    paper: Annotated[
        str | None, typer.Option(metavar="KEY", help="Only weights of this source, as in romero2020.")
    ] = None,
    images: Annotated[
        int | None, typer.Option(min=100, metavar="N", help="Only so many test images.", show_default="all")
    ] = None,
    data: Data,
    include: Include,
    output: Format,
) -> None:
    """Score weights that others released, and say whether they give their published numbers back.

    Files are fetched by hand and read as tensors alone. Ends with 1 if a number does not come back, or if no file is
    there.
    """
    from gcnnbench.cards.registry import Registry
    from gcnnbench.claims.reading import read_claims
    from gcnnbench.record_checks.released_weights import verify_weights
    from gcnnbench.record_checks.released_weights_text import as_json, as_text

    registry = Registry.load(include)
    cards = [card for card in read_claims(registry) if card.weights]
    chosen = [card for card in cards if paper in (None, card.source)]
    if not chosen:
        raise UserError(f"'{paper}' released no weights that are registered; {', '.join(c.source for c in cards)} did")
    rows = verify_weights(registry, chosen, weights, data, images)
    typer.echo(as_json(rows) if output is OutputFormat.json else as_text(rows), nl=False)
    if any(row.fails for row in rows) or all(row.verdict == "not here" for row in rows):
        raise typer.Exit(CHECK_FAILED)
