"""Options that several verbs share, each defined once.

They bring their defaults along, so a verb takes them without one, after a star:

    def status(benchmarks: …, *, results: Results, output: Format) -> None:
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from gcnnbench.cli.completion import entry_names


class OutputFormat(StrEnum):
    """How a verb prints its result."""

    md = "md"
    json = "json"


class TableFormat(StrEnum):
    """How a verb prints its tables."""

    md = "md"
    csv = "csv"
    json = "json"
    tex = "tex"


class DeviceName(StrEnum):
    """Where cells can run."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


def default_data() -> Path:
    """The platform's cache folder for this suite."""
    import platformdirs

    return platformdirs.user_cache_path("gcnnbench", appauthor=False) / "data"


def default_results() -> Path:
    """`results/` of the checkout that this package is imported from, wherever it is called; else `./results`."""
    checkout = Path(__file__).resolve().parents[3]
    return checkout / "results" if (checkout / "pyproject.toml").is_file() else Path("results")


Data = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="GCNNBENCH_DATA",
        metavar="DIR",
        help="Where the data sets are.",
        default_factory=default_data,
        show_default="the platform's cache folder",
    ),
]
Results = Annotated[
    Path,
    typer.Option(
        "--results",
        envvar="GCNNBENCH_RESULTS",
        metavar="DIR",
        help="Where the records are.",
        default_factory=default_results,
        show_default="results/ of the checkout, else ./results",
    ),
]
Include = Annotated[
    list[Path],
    typer.Option(
        "--include",
        metavar="PATH",
        help="A model's folder, or another card, from outside the registry; may be repeated.",
        default_factory=list,
        show_default=False,
    ),
]
Entries = Annotated[
    list[str],
    typer.Option(
        "--entry",
        metavar="SLUG@SIZE",
        help="Only this entry; may be repeated.",
        autocompletion=entry_names,
        default_factory=list,
        show_default=False,
    ),
]
OneBenchmark = Annotated[str | None, typer.Option("--benchmark", metavar="NAME", help="Only this benchmark.")]
Seeds = Annotated[str | None, typer.Option("--seeds", metavar="0-4", help="Only these seeds, as in 0-4 or 0,2.")]
Format = Annotated[
    OutputFormat,
    typer.Option(
        "--format",
        help="For people, or one JSON document.",
        default_factory=lambda: OutputFormat.md,
        show_default=OutputFormat.md.value,
    ),
]
Tables = Annotated[
    TableFormat,
    typer.Option(
        "--format",
        help="The form of the tables.",
        default_factory=lambda: TableFormat.md,
        show_default=TableFormat.md.value,
    ),
]
