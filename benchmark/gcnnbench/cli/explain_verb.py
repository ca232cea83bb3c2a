"""`explain`: traces a number of a table to its records, counts, protocol, data, code, machine and claims."""

from __future__ import annotations

from typing import Annotated

import typer

from gcnnbench.cli.options import Format, Include, OutputFormat, Results
from gcnnbench.cli.output import tell


def explain(
    benchmark: Annotated[str, typer.Argument(metavar="BENCHMARK", help="Its name, or name@version.")],
    entry: Annotated[str, typer.Argument(metavar="ENTRY", help="The row, as in p4cnn@28.")],
    metric: Annotated[
        str | None,
        typer.Argument(metavar="METRIC", help="The column; else the one it is ranked by.", show_default=False),
    ] = None,
    *,
    seed: Annotated[
        int | None,
        typer.Option("--seed", metavar="N", help="The records of this seed alone, counted or not.", show_default=False),
    ] = None,
    results: Results,
    include: Include,
    output: Format,
) -> None:
    """Walk from one number of a table to its records, counts, protocol, data, code, machine and claims."""
    from gcnnbench.cards.elements import ELEMENTS
    from gcnnbench.cards.registry import Registry
    from gcnnbench.explain.metric_names import metric_named

    registry = Registry.load(include)
    (card,) = registry.chosen([benchmark], [entry])
    metric_named(metric or card.rank_by, ELEMENTS[card.evaluation.group])

    from gcnnbench.explain.lineage import explain as explained
    from gcnnbench.explain.text import explanation_as_json, explanation_as_text

    found = explained(registry, results, benchmark, entry, metric, seed)
    write = explanation_as_json if output is OutputFormat.json else explanation_as_text
    tell(write(found), output)
