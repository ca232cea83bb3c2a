"""`leaderboard` and `compare`: what the records say, in tables."""

from __future__ import annotations

from typing import Annotated

import typer

from benchmark.cli.options import Format, Include, OutputFormat, Results, Tables

CHECK_FAILED = 1


def leaderboard(
    benchmarks: Annotated[
        list[str] | None, typer.Argument(help="These benchmarks; else all with records.", show_default=False)
    ] = None,
    *,
    results: Results,
    include: Include,
    output: Tables,
    wide: Annotated[bool, typer.Option("--wide", help="All accuracies, with 95% intervals.")] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Also keep the tables, in every format, in tables/ of the results.")
    ] = False,
) -> None:
    """Show the leaderboard, and exact against approximate networks pair by pair."""
    from benchmark.cards.registry import Registry
    from benchmark.leaderboard import tables

    boards, unreadable = tables.leaderboard(Registry.load(include), results, benchmarks or ())
    typer.echo(tables.render(boards, output.value, wide=wide), nl=False)
    if write:
        from benchmark.runs.store import write_whole

        for board in boards:
            for name, text in tables.table_files(board).items():
                write_whole(results / tables.TABLES / name, text.encode())
    findings = [*unreadable, *(f"{board.benchmark}: {finding}" for board in boards for finding in board.findings)]
    for finding in findings:
        typer.echo(finding, err=True)
    if findings:
        raise typer.Exit(CHECK_FAILED)


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="BENCHMARK/SLUG@SIZE, as in quickstart/p4cnn@12.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another entry of the same benchmark.")],
    *,
    results: Results,
    include: Include,
    output: Format,
) -> None:
    """Compare two entries of a benchmark: across seeds, paired by seed, and image by image where outputs are kept."""
    from benchmark.cards.registry import Registry
    from benchmark.leaderboard.compare import compare as compared
    from benchmark.leaderboard.compare_text import comparison_as_json, comparison_as_markdown

    comparison = compared(Registry.load(include), results, first, second)
    write = comparison_as_json if output is OutputFormat.json else comparison_as_markdown
    typer.echo(write(comparison), nl=False)
