"""`submit`: checks a model that somebody brings, runs it and packs a bundle, or accepts one."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcnnbench.cli.advice import advised
from gcnnbench.cli.bundles import NoRescore, Retrain, Trust, accepted_text, cells_to_retrain, refuse, report_text, say
from gcnnbench.cli.options import Data, Include, Results
from gcnnbench.cli.output import tell
from gcnnbench.cli.written_files import stem_to_write
from gcnnbench.cli.written_options import refuse_others, refuse_these
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many

if TYPE_CHECKING:
    from gcnnbench.submissions.folder import Submission
    from gcnnbench.submissions.retraining import Wanted
    from gcnnbench.submissions.verifying import Depth


def submit(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="A submission's folder; with --accept a bundle.")],
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Only say all that is wrong with it; nothing is trained.")
    ] = False,
    accept: Annotated[
        bool, typer.Option("--accept", help="Verify a bundle, merge it into models/ and results/, renew the tables.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            metavar="DIR",
            help="Where the bundle is written.",
            show_default="./NAME.bundle",
            callback=stem_to_write,
        ),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Cells at the same time.", show_default="as many as there are cores"),
    ] = None,
    retrain: Retrain = None,
    no_rescore: NoRescore = False,
    trust: Trust = False,
    models: Annotated[
        Path | None, typer.Option(metavar="DIR", help="--accept: the folder of models.", show_default="the checkout's")
    ] = None,
    data: Data,
    results: Results,
    include: Include,
) -> None:
    """Check a submission, run the benchmarks that it enters by the protocol of the built-in entries, and pack a bundle.

    Submitted code runs in a process that holds no test label, without network and with limits. Ends with 1 if
    something is wrong; everything that is wrong is said at once, each with what would be right.
    """
    from gcnnbench.submissions.findings import Refused
    from gcnnbench.submissions.folder import read_submission

    if check and accept:
        raise UserError("--check looks at a folder, --accept at a bundle: give one of them")
    if check:
        refuse_others("with --check", "check", "path", "output", "trust")
    elif accept:
        refuse_others("with --accept", "accept", "path", "trust", "retrain", "no_rescore", "models")
    else:
        refuse_these("without --accept", "retrain", "no_rescore", "models")
    try:
        if accept:
            wanted = cells_to_retrain(retrain, no_rescore)
            _accept(path, data, results, models, "check" if no_rescore else "rescore", wanted, trust, include)
        elif check:
            _check(path, data, include, trust)
        else:
            _submit(read_submission(path, include), data, output, jobs or os.cpu_count() or 1, trust)
    except Refused as error:
        refuse(error, path)


def _check(path: Path, data: Path, include: list[Path], trust: bool) -> None:
    from gcnnbench.submissions.checking import check_folder, export_notes

    submission = check_folder(path, data, include, trust=trust)
    for note in export_notes(submission, data, trust=trust):
        typer.echo(note, err=True)
    entered = ", ".join(f"{benchmark} {entry}" for benchmark, entry in submission.entries)
    typer.echo(advised(f"{path}: all checks passed for {entered}; next: gcnnbench submit {shlex.quote(str(path))}"))


def _submit(submission: Submission, data: Path, output: Path | None, jobs: int, trust: bool) -> None:
    from gcnnbench.cli.progress import RunReport
    from gcnnbench.submissions.submitting import cells_of, submit

    target = output or Path(f"{submission.card.name}.bundle")
    with RunReport(len(cells_of(submission, data))) as report:
        manifest = submit(submission, data, target, report, jobs=jobs, trust=trust)
    typer.echo(f"{target}: {how_many(len(manifest.files), 'file')}, digest {manifest.digest}")
    typer.echo(advised(f"next: gcnnbench verify bundle {shlex.quote(str(target))}"))


def _accept(
    path: Path,
    data: Path,
    results: Path,
    models: Path | None,
    depth: Depth,
    retrain: Wanted,
    trust: bool,
    include: list[Path],
) -> None:
    from gcnnbench.runs.store import Store
    from gcnnbench.submissions.accepting import accept
    from gcnnbench.submissions.verifying import verify_bundle

    models = models or _checkout_models()
    Store(results).require_writable(results / "file", models / "file")
    report = verify_bundle(path, data, depth=depth, retrain=retrain, trust=trust, include=include, say=say)
    accepted = accept(report, models, results, include)
    tell(report_text(report))
    typer.echo(advised(accepted_text(accepted, report)))


def _checkout_models() -> Path:
    """The checkout's folder of models, in which an accepted network is registered."""
    from gcnnbench.models import __path__ as registered

    for folder in map(Path, registered):
        if (folder.parent / "pyproject.toml").is_file():
            return folder
    raise UserError("this is no checkout, and an installed package takes no further model: say --models DIR")
