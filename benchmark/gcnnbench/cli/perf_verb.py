"""`perf`: measures how fast this suite is, and compares two such reports."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gcnnbench.cli.options import DeviceName, Format, OutputFormat
from gcnnbench.cli.output import tell
from gcnnbench.cli.written_files import file_to_write
from gcnnbench.cli.written_options import refuse_others, refuse_these
from gcnnbench.plain_files import read_given


def perf(
    sections: Annotated[
        list[str],
        typer.Argument(
            metavar="SECTION",
            help="training, evaluation, layers, learnt, cell, anatomy, seeds, scaling, start-up, workers, tables, "
            "engines; without, all but the last, which takes minutes.",
            default_factory=list,
            show_default=False,
        ),
    ],
    *,
    device: Annotated[DeviceName, typer.Option(help="Where the networks are.")] = DeviceName.auto,
    threads: Annotated[int, typer.Option(metavar="N", min=1, help="CPU threads.")] = 1,
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            metavar="SECONDS",
            min=0,
            help="About how long one comparison may take; five rounds are made at least.",
        ),
    ] = 8.0,
    compare: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--compare", metavar="A.json B.json", help="Compare two reports kept with --format json."),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option("--save", metavar="FILE.json", help="Also keep the report as JSON.", callback=file_to_write),
    ] = None,
    output: Format,
) -> None:
    """Measure how fast layers, networks, cells and tables are, as ratios to what plain convolutions and others take.

    Candidates are timed in turn, so that other work on the machine meets all of them alike.
    """
    from gcnnbench.perf.report import read_report
    from gcnnbench.perf.text import compare_as_markdown, comparison_as_markdown, report_as_markdown

    if compare is not None:
        refuse_others("with --compare", "compare")
        tell(compare_as_markdown(*(read_report(str(path), read_given(path)) for path in compare)))
        return
    from gcnnbench.disk import write_whole
    from gcnnbench.perf.suite import NOT_LOOKED_AT, SETTINGS, measure

    if sections:
        unused = SETTINGS.intersection(*(NOT_LOOKED_AT.get(name, frozenset[str]()) for name in sections))
        refuse_these(f"to {' and '.join(sections)}", *unused)
    report = measure(
        sections,
        device=device.value,
        threads=threads,
        seconds=seconds,
        tell=lambda comparison: typer.echo(comparison_as_markdown(comparison) + "\n", err=True),
    )
    document = report.model_dump_json(indent=1) + "\n"
    try:
        if save is not None:
            write_whole(save, document.encode())
    finally:  # what cannot be kept is printed at least, and what cannot be printed is kept
        tell(document if output is OutputFormat.json else report_as_markdown(report), output)
