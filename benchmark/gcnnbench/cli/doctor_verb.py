"""`doctor`: tests whether this machine computes the same bits twice."""

from __future__ import annotations

from typing import Annotated

import typer

from gcnnbench.cli.exit_codes import CHECK_FAILED
from gcnnbench.cli.options import Data, DeviceName, Entries, Format, Include, OutputFormat, Results
from gcnnbench.cli.output import tell

BENCHMARK = "quickstart"
ENTRIES = ("p4cnn@12", "p4cnn@11", "z2cnn@12")


def doctor(
    *,
    benchmark: Annotated[str, typer.Option(metavar="NAME", help="The benchmark whose networks are tried.")] = BENCHMARK,
    entries: Entries,
    device: Annotated[DeviceName, typer.Option(help="What is audited.")] = DeviceName.auto,
    output: Format,
    data: Data,
    results: Results,
    include: Include,
) -> None:
    """Audit this machine: what is computed twice must be the same bits, and how far do other ways of computing move it.

    Networks are trained a few steps twice, and scored with several batch sizes and thread counts. Without --entry three
    of quickstart's are tried, which need no download; of another benchmark all. The result is kept below the results
    directory, outside git, and `verify records` reads it. Ends with 1 if bits do not repeat.
    """
    from gcnnbench.cards.registry import Registry
    from gcnnbench.determinism.audit import audit_machine, keep, kept_path
    from gcnnbench.determinism.text import audit_as_text
    from gcnnbench.device import choose
    from gcnnbench.runs.plan import plan
    from gcnnbench.runs.store import Store

    registry = Registry.load(include)
    tried = entries or (ENTRIES if benchmark == BENCHMARK else ())
    place = choose(device.value).type
    Store(results).require_writable(kept_path(results, place))
    audit = audit_machine(plan(registry, [benchmark], entries=tried, seeds=[0], device=place, data=data))
    try:
        path = keep(results, audit)
    finally:  # what cannot be kept is printed at least, and what cannot be printed is kept
        tell(audit.model_dump_json(indent=1) if output is OutputFormat.json else audit_as_text(audit), output)
    typer.echo(f"kept in {path}", err=True)
    if audit.problems:
        raise typer.Exit(CHECK_FAILED)
