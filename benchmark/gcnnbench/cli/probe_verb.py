"""`probe`: what is read from the weights beside records, in weight space and in features."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gcnnbench.cli.options import Data, Format, Include, OutputFormat
from gcnnbench.cli.output import tell
from gcnnbench.errors import UserError


class Probe(StrEnum):
    """What can be read from weights."""

    alignment = "alignment"
    subspace = "subspace"


def probe(
    name: Annotated[Probe, typer.Argument(metavar="NAME", help="alignment or subspace.", show_default=False)],
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS", help="A results directory, or the folder of one benchmark in it.", show_default=False
        ),
    ],
    *,
    entry: Annotated[
        list[str] | None, typer.Option("--entry", metavar="NAME", help="Only this entry; may be repeated.")
    ] = None,
    images: Annotated[int, typer.Option(min=4, metavar="N", help="Training images to match channels on.")] = 100,
    data: Data,
    include: Include,
    output: Format,
) -> None:
    """Read a probe from the weights beside records, trained and untrained.

    alignment: whether layers are equivariant up to a permutation of channels, and what a network loses when it is
    merged with itself turned. subspace: how far filter banks are from equivariant ones.
    """
    from gcnnbench.cards.registry import Registry
    from gcnnbench.record_checks.probed import as_json, as_markdown, probe_records

    if not results.is_dir():
        raise UserError(f"{results} is no folder")
    registry = Registry.load(include)
    known = registry.versions()
    if results.name in known:
        root, benchmarks = results.parent, [results.name]
    else:
        root, benchmarks = results, sorted(path.name for path in results.iterdir() if path.name in known)
    if not benchmarks:
        raise UserError(f"{results} holds no folder of a registered benchmark, as mnist-upright@1")
    found = probe_records(registry, root, benchmarks, name.value, data, images=images, entries=entry or ())
    tell(as_json(found) if output is OutputFormat.json else as_markdown(found), output.value)
