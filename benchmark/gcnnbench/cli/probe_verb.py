"""`probe`: reads from trained weights how symmetric they are, and prints it as tables or JSON."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcnnbench.cli.options import Data, Entries, Format, Include, OutputFormat, Seeds
from gcnnbench.cli.output import tell, tell_document
from gcnnbench.errors import UserError

if TYPE_CHECKING:
    from gcnnbench.cards.registry import Registry


class Probe(StrEnum):
    """What can be read from weights."""

    alignment = "alignment"
    subspace = "subspace"


def probe(
    name: Annotated[Probe, typer.Argument(metavar="NAME", help="alignment or subspace.", show_default=False)],
    results: Annotated[
        list[Path],
        typer.Argument(
            metavar="RESULTS", help="A results directory, or folders of benchmarks in it.", show_default=False
        ),
    ],
    *,
    entries: Entries,
    seeds: Seeds = None,
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

    registry = Registry.load(include)
    root, benchmarks = _benchmarks(results, registry)
    registry.chosen(benchmarks, entries)

    from gcnnbench.record_checks.weight_probes import probe_records
    from gcnnbench.record_checks.weight_probes_text import as_markdown
    from gcnnbench.runs.plan import seeds_from

    chosen = seeds_from(seeds) if seeds else None
    found = probe_records(registry, root, benchmarks, name.value, data, images=images, entries=entries, seeds=chosen)
    if output is OutputFormat.json:
        tell_document(found)
    else:
        tell(as_markdown(found))


def _benchmarks(folders: list[Path], registry: Registry) -> tuple[Path, list[str]]:
    """The results directory that is meant, and the benchmarks in it.

    Raises:
        UserError: a folder is none, holds no benchmark, or is of another results directory.
    """
    known = registry.versions()
    roots, benchmarks = set[Path](), list[str]()
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is no folder")
        inside = [folder.name] if folder.name in known else sorted(p.name for p in folder.iterdir() if p.name in known)
        if not inside:
            raise UserError(f"{folder} holds no folder of a registered benchmark, as mnist-upright@1")
        roots.add(folder.parent if folder.name in known else folder)
        benchmarks += inside
    if len(roots) > 1:
        raise UserError(f"{' and '.join(sorted(map(str, roots)))} are several results directories; probe one at a time")
    return roots.pop(), list(dict.fromkeys(benchmarks))
