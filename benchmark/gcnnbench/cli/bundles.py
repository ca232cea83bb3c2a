"""What `submit` and `verify bundle` share: options, what they say while they work, refusals, the report of a bundle."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from gcnnbench.cli.exit_codes import CHECK_FAILED
from gcnnbench.cli.output import tell_aside
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many

if TYPE_CHECKING:
    from gcnnbench.submissions.accepting import Accepted
    from gcnnbench.submissions.findings import Refused
    from gcnnbench.submissions.retraining import Wanted
    from gcnnbench.submissions.verifying import BundleReport

Trust = Annotated[
    bool,
    typer.Option("--trust", help="Run the submitted code as yourself where this machine cannot contain it."),
]
Retrain = Annotated[
    str | None,
    typer.Option(
        "--retrain", metavar="N|all", help="Also train so many cells again, which are drawn here and now, or all."
    ),
]
NoRescore = Annotated[
    bool, typer.Option("--no-rescore", help="Leave the weights unscored; rows stay self-reported.", show_default=False)
]


def cells_to_retrain(retrain: str | None, no_rescore: bool) -> Wanted:
    """How many cells `--retrain` asks for.

    Raises:
        UserError: it is no number and not `all`, or `--no-rescore` contradicts it.
    """
    if retrain is not None and no_rescore:
        raise UserError("--retrain goes deeper than scoring again: leave --no-rescore out")
    if retrain is None:
        return 0
    if retrain != "all" and not (
        retrain.isascii() and retrain.isdecimal() and int(retrain[:9]) > 0 and len(retrain) < 9
    ):
        raise UserError(f"--retrain (={retrain}) must be a number of cells from 1 on, or all")
    return "all" if retrain == "all" else int(retrain)


def refuse(error: Refused, path: Path) -> NoReturn:
    """Print what is wrong on stderr and end with 1."""
    for finding in error.findings:
        tell_aside(str(finding))
    things = how_many(len(error.findings), "thing is", "things are")
    typer.echo(f"{path}: refused, {things} wrong", err=True)
    raise typer.Exit(CHECK_FAILED)


def say(text: str) -> None:
    """Print on stderr what is being done."""
    typer.echo(text, err=True)


def accepted_text(accepted: Accepted, report: BundleReport) -> str:
    """What was written, folder by folder, how it is looked at, and how it is taken back."""
    counts = Counter((path.parent, kind) for kind in ("new", "changed") for path in getattr(accepted, kind))
    written = [f"  {folder}: {how_many(count, f'{kind} file')}" for (folder, kind), count in sorted(counts.items())]
    boards = " ".join(dict.fromkeys(trial.benchmark for trial in report.bundle.manifest.trials))
    lines = [f"accepted: {how_many(len(accepted.new) + len(accepted.changed), 'file')} written", *written]
    lines.append(f"next: gcnnbench leaderboard {boards}")
    if written:
        taken_back = (("rm -r", accepted.brought), ("git restore", accepted.changed))
        back = (shlex.join([*command.split(), *map(str, paths)]) for command, paths in taken_back if paths)
        lines.append(f"to take it back: {' && '.join(back)}")
    return "\n".join(lines)


def report_text(report: BundleReport) -> str:
    """Every record with who measured it, and that nothing is wrong."""
    from gcnnbench.layout import pipes

    rows = [[measured.cell, measured.grade, measured.note] for measured in report.measured]
    table = pipes((["cell", "measured", "note"], rows, ""))
    return f"{table}\n\nnothing is wrong with {report.bundle.manifest.model}, digest {report.bundle.manifest.digest}"
