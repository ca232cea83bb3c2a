"""`status`: which cells have a record, and why the others have none."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Annotated

import typer

from gcnnbench.cli.completion import benchmark_names
from gcnnbench.cli.options import Entries, Format, Include, OutputFormat, Results, Seeds
from gcnnbench.cli.output import tell, tell_document
from gcnnbench.escaping import terminal


def status(
    benchmarks: Annotated[
        list[str],
        typer.Argument(
            metavar="BENCHMARK",
            help="Benchmarks by name; all without.",
            default_factory=list,
            show_default=False,
            autocompletion=benchmark_names,
        ),
    ],
    *,
    entries: Entries,
    seeds: Seeds = None,
    output: Format,
    results: Results,
    include: Include,
) -> None:
    """Say of every cell whether it is planned, running, interrupted, done, failed, stale, incomplete or unreadable."""
    from gcnnbench.cards.registry import Registry

    registry = Registry.load(include)
    registry.chosen(benchmarks or sorted(registry.benchmarks), entries)

    from gcnnbench.data.copies import on_copies
    from gcnnbench.layout import pipes
    from gcnnbench.runs import plan
    from gcnnbench.runs.store import Store

    registry, store = on_copies(registry, results), Store(results)
    cells = plan.plan(
        registry,
        benchmarks or sorted(registry.benchmarks),
        entries=entries,
        seeds=None if seeds is None else plan.seeds_from(seeds),
    )
    states = [(cell, plan.status(store, cell)) for cell in cells]
    if output is OutputFormat.json:
        rows = [
            {"benchmark": cell.card.full_name, "entry": cell.entry, "seed": cell.seed, "state": state}
            for cell, state in states
        ]
        tell_document({"cells": rows})
        return
    table: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for cell, state in states:
        table[cell.card.full_name, cell.entry][state] += 1
    rows_shown = [
        [*place, ", ".join(f"{count} {state}" for state, count in found.most_common())]
        for place, found in table.items()
    ]
    tell(pipes((["benchmark", "entry", "cells"], rows_shown, "")))
    for cell, state in states:
        failure = store.failure(cell) if state == "failed" else None
        if failure is not None:
            typer.echo(terminal(f"{cell.name} failed in {failure.phase}: {failure.reason}"))
