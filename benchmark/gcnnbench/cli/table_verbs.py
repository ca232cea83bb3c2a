"""`leaderboard`, `regret` and `compare`: tables made from the records."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gcnnbench.cli.completion import benchmark_names
from gcnnbench.cli.exit_codes import CHECK_FAILED
from gcnnbench.cli.options import Format, Include, OutputFormat, Results, TableFormat, Tables
from gcnnbench.cli.output import tell, tell_aside, tell_document
from gcnnbench.errors import UserError
from gcnnbench.escaping import terminal

if TYPE_CHECKING:
    from gcnnbench.cards.registry import Registry
    from gcnnbench.leaderboard.board import Board

Found = TypeVar("Found")


def leaderboard(
    benchmarks: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="BENCHMARK",
            help="These benchmarks; else all with records.",
            show_default=False,
            autocompletion=benchmark_names,
        ),
    ] = None,
    *,
    results: Results,
    include: Include,
    output: Tables,
    wide: Annotated[bool, typer.Option("--wide", help="All accuracies, with 95% intervals.")] = False,
    top: Annotated[
        int | None,
        typer.Option("--top", min=1, metavar="N", help="Only the first N rows of each first table, as Markdown."),
    ] = None,
    write: Annotated[
        bool,
        typer.Option(
            "--write", help="Also keep the tables in every format, and, of all benchmarks, figures and a page."
        ),
    ] = False,
) -> None:
    """Show the leaderboard, and exact against approximate networks pair by pair."""
    from gcnnbench.cards.registry import Registry

    if top is not None and output is not TableFormat.md:
        raise UserError(f"--top is for reading and has no form {output.value}: leave out --format")
    if wide and output in (TableFormat.csv, TableFormat.json):
        raise UserError(f"--format {output.value} holds all columns: leave out --wide")
    registry = Registry.load(include)
    registry.chosen(benchmarks or ())  # a typo costs no more than this

    from gcnnbench.leaderboard import tables
    from gcnnbench.leaderboard.notes import remarks
    from gcnnbench.runs.store import Store

    if write:
        Store(results).require_writable(results / tables.TABLES / "file", results / "file")
    boards, unreadable = tables.leaderboard(registry, results, benchmarks or ())
    tell(tables.render(boards, output.value, wide=wide, top=top), output)
    if write:
        _keep(registry, results, boards, everything=not benchmarks)
    if output is TableFormat.md:
        for remark in (remark for board in boards for remark in remarks(board)):
            tell_aside(terminal(remark))
    findings = [*unreadable, *(f"{board.benchmark}: {finding}" for board in boards for finding in board.findings)]
    for finding in findings:
        tell_aside(terminal(finding))
    if findings:
        raise typer.Exit(CHECK_FAILED)


def regret(
    family: Annotated[
        str, typer.Argument(metavar="FAMILY", help="A family of benchmarks, as degree-mnist.", show_default=False)
    ],
    *,
    results: Results,
    include: Include,
) -> None:
    """Show what each network costs in the worst condition of a family, against the best fixed network there."""
    from gcnnbench.cards.registry import Registry

    registry = Registry.load(include)
    registry.family(family)

    from gcnnbench.leaderboard.regret import as_markdown, regret_table

    tell(as_markdown(regret_table(registry, results, family)))


def _keep(registry: Registry, results: Path, boards: list[Board], *, everything: bool) -> None:
    """Write the tables, and of everything the figures and the page, only when all of them are made."""
    from gcnnbench.leaderboard import tables
    from gcnnbench.runs.store import Store

    made = {
        results / tables.TABLES / name: text.encode()
        for board in boards
        if board.has_records
        for name, text in tables.table_files(board).items()
    }
    if everything:
        from gcnnbench.cli.progress import steps
        from gcnnbench.pages.results import FIGURES, PAGE, page

        with TemporaryDirectory() as drawn:
            text = page(registry, results, boards, Path(drawn), lambda shown: steps(shown, lambda one: one.benchmark))
            made |= {results / FIGURES / path.name: path.read_bytes() for path in sorted(Path(drawn).iterdir())}
        made[results / PAGE] = text.encode()
    Store(results).write_together(made)


FORMS = """write one of
  gcnnbench compare BENCHMARK/SLUG@SIZE BENCHMARK/SLUG@SIZE   two entries of one benchmark
  gcnnbench compare [BENCHMARK...] --against DIR              the records of --results and those of another directory
  gcnnbench compare BEFORE.json AFTER.json                    two leaderboards kept by leaderboard --format json
  gcnnbench compare [BENCHMARK...] --against-revision REV     the tables kept at a git revision, and the records now"""


def compare(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME",
            help="Two entries (BENCHMARK/SLUG@SIZE), two leaderboards (FILE.json), or benchmarks.",
            show_default=False,
        ),
    ] = None,
    *,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="DIR", help="Another results directory, cell by cell.", show_default=False),
    ] = None,
    against_revision: Annotated[
        str | None,
        typer.Option(metavar="REV", help="The tables kept at a git revision, row by row.", show_default=False),
    ] = None,
    results: Results,
    include: Include,
    output: Format,
) -> None:
    """Compare two entries, two results directories, or two states of the leaderboard.

    Entries: across seeds, paired by seed, and image by image where outputs are kept. Directories: which records are
    equal to the bit, and what differs in protocol, code, machine and numbers. States: what moved, and why.
    """
    given = names or []
    if against is not None and against_revision is not None:
        raise UserError(f"--against and --against-revision are two comparisons; {FORMS}")
    if against is None and against_revision is None and len(given) != 2:
        raise UserError(f"compare what with what? {FORMS}")
    if against is not None:
        from gcnnbench.compare import directories, text

        _answer(directories.compare_sets(results, against, given), text.sets_as_markdown, output)
        return
    if against_revision is None and all(name.endswith(".json") for name in given):
        from gcnnbench.compare import boards, text

        _answer(boards.compare_files(*map(Path, given)), text.states_as_markdown, output)
        return
    from gcnnbench.cards.registry import Registry

    registry = Registry.load(include)
    if against_revision is not None:
        registry.chosen(given)

        from gcnnbench.compare import boards, text
        from gcnnbench.leaderboard import tables

        now, _ = tables.leaderboard(registry, results, given)
        found = boards.compare_revision(results, against_revision, now, whole=not given)
        _answer(found, text.states_as_markdown, output)
        return
    for benchmark, slash, entry in (name.rpartition("/") for name in given):
        registry.chosen([benchmark] if slash else [], [entry] if slash else [])

    from gcnnbench.compare import entries, text

    _answer(entries.compare(registry, results, *given), text.comparison_as_markdown, output)


def _answer(found: Found, as_markdown: Callable[[Found], str], output: OutputFormat) -> None:
    if output is OutputFormat.json:
        tell_document(found)
    else:
        tell(as_markdown(found))
