"""`new`, `submit` and the verification of bundles: models that others bring."""

from __future__ import annotations

import json
import os
import shlex
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcnnbench.cli.advice import advised
from gcnnbench.cli.check_report import JUnit, report_checks
from gcnnbench.cli.options import Data, Format, Include, OutputFormat, Results
from gcnnbench.cli.output import tell, tell_aside
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many

if TYPE_CHECKING:
    from gcnnbench.submissions.findings import Refused
    from gcnnbench.submissions.folder import Submission
    from gcnnbench.submissions.retraining import Wanted
    from gcnnbench.submissions.verifying import BundleReport, Depth

CHECK_FAILED = 1


class Kind(StrEnum):
    """What a starting point is made of."""

    torch = "torch"
    gcnn = "gcnn"
    e2cnn = "e2cnn"


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


def new(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Of the model or data set: small letters and digits, in words joined by '-'."
        ),
    ],
    *,
    kind: Annotated[
        Kind, typer.Option(help="Plain torch, this suite's group layers, or steerable layers of e2cnn.")
    ] = Kind.gcnn,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Make a data set of these images instead: DIR/train/CLASS and DIR/test/CLASS, or DIR/CLASS.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[Path, typer.Option("--output", metavar="DIR", help="Where the folder is made.")] = Path(),
) -> None:
    """Write a folder with a small network and its card, or with a data set of your own, correct as it stands."""
    if images is not None:
        from gcnnbench.data.scaffold import new_dataset

        folder = new_dataset(name, images, output)
        where = images.parent if images.resolve().name == name else Path("DIR")
        hint = "" if images.resolve().name == name else f", once the images lie in DIR/{name}"
        typer.echo(
            f"{folder}: dataset.yaml, dataset.py, {name}-first.yaml; next{hint}: gcnnbench run {name}-first "
            f"--include {shlex.quote(str(folder))} --data {shlex.quote(str(where))} --results my-results"
        )
        return
    from gcnnbench.submissions.scaffold import new as scaffold

    folder = scaffold(name, kind.value, output)
    typer.echo(f"{folder}: model.py, model.yaml, README.md; next: gcnnbench submit {shlex.quote(str(folder))} --check")


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
        typer.Option("--output", metavar="DIR", help="Where the bundle is written.", show_default="./NAME.bundle"),
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
    if not accept and (retrain or no_rescore or models):
        raise UserError("--retrain, --no-rescore and --models belong to --accept")
    try:
        if accept:
            wanted = _wanted(retrain, no_rescore)
            _accept(path, data, results, models, "check" if no_rescore else "rescore", wanted, trust, include)
        elif check:
            _check(path, data, include, trust)
        else:
            _submit(read_submission(path, include), data, output, jobs or os.cpu_count() or 1, trust)
    except Refused as error:
        _refuse(error, path)


def bundle(
    path: Annotated[Path, typer.Argument(metavar="BUNDLE", help="What `gcnnbench submit` has packed.")],
    *,
    retrain: Retrain = None,
    no_rescore: NoRescore = False,
    trust: Trust = False,
    junit: JUnit = None,
    data: Data,
    include: Include,
    output: Format,
) -> None:
    """Verify a bundle: whole, right by every check of `submit --check`, complete, recomputed, its weights scored again.

    With --no-rescore nothing of it is run, and the checks of the network are not made. Ends with 1 if something is
    wrong; everything that is wrong is said at once, each with what would be right.
    """
    from gcnnbench.exports.junit import Case, Fault
    from gcnnbench.submissions.findings import Refused
    from gcnnbench.submissions.verifying import verify_bundle

    try:
        wanted = _wanted(retrain, no_rescore)
        depth: Depth = "read" if no_rescore else "rescore"
        report = verify_bundle(path, data, depth=depth, retrain=wanted, trust=trust, include=include, say=_say)
    except Refused as error:
        report_checks(
            "gcnnbench verify bundle",
            [Case(finding.check, (Fault(f"{finding.what}; {finding.remedy}"),)) for finding in error.findings],
            junit,
        )
        if output is OutputFormat.json:
            rows = [{"id": finding.check, "verdict": "refused", **finding.model_dump()} for finding in error.findings]
            tell(json.dumps({"rows": rows, "summary": {"refused": len(rows)}}, indent=1, ensure_ascii=False), "json")
        _refuse(error, path)
    else:
        report_checks("gcnnbench verify bundle", [Case(str(path))], junit)
        tell(_as_json(report) if output is OutputFormat.json else _as_text(report), output)


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
    from gcnnbench.submissions.accepting import accept
    from gcnnbench.submissions.verifying import verify_bundle

    models = models or _checkout_models()
    report = verify_bundle(path, data, depth=depth, retrain=retrain, trust=trust, include=include, say=_say)
    written = accept(report, models, results, include)
    tell(_as_text(report))
    typer.echo(f"accepted: {how_many(len(written), 'file')} written")


def _checkout_models() -> Path:
    """The checkout's folder of models, in which an accepted network is registered."""
    from gcnnbench.models import __path__ as registered

    for folder in map(Path, registered):
        if (folder.parent / "pyproject.toml").is_file():
            return folder
    raise UserError("this is no checkout, and an installed package takes no further model: say --models DIR")


def _wanted(retrain: str | None, no_rescore: bool) -> Wanted:
    if retrain is not None and no_rescore:
        raise UserError("--retrain goes deeper than scoring again: leave --no-rescore out")
    if retrain is None:
        return 0
    if retrain != "all" and not (
        retrain.isascii() and retrain.isdecimal() and int(retrain[:9]) > 0 and len(retrain) < 9
    ):
        raise UserError(f"--retrain (={retrain}) must be a number of cells from 1 on, or all")
    return "all" if retrain == "all" else int(retrain)


def _refuse(error: Refused, path: Path) -> None:
    """Print what is wrong on stderr and end with 1."""
    for finding in error.findings:
        tell_aside(str(finding))
    things = how_many(len(error.findings), "thing is", "things are")
    typer.echo(f"{path}: refused, {things} wrong", err=True)
    raise typer.Exit(CHECK_FAILED)


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _as_text(report: BundleReport) -> str:
    from gcnnbench.layout import pipes

    rows = [[measured.cell, measured.grade, measured.note] for measured in report.measured]
    table = pipes((["cell", "measured", "note"], rows, ""))
    return f"{table}\n\nnothing is wrong with {report.bundle.manifest.model}, digest {report.bundle.manifest.digest}"


def _as_json(report: BundleReport) -> str:
    rows = [{"id": one.place, "verdict": one.grade, "note": one.note} for one in report.measured]
    grades = [one.grade for one in report.measured]
    summary = {grade: grades.count(grade) for grade in dict.fromkeys(grades)}
    return json.dumps({"rows": rows, "summary": summary}, indent=1, ensure_ascii=False)
