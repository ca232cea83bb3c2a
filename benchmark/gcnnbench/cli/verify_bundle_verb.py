"""`verify bundle`: a submission with its records, checked, recomputed, scored and trained again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gcnnbench.cli.bundles import NoRescore, Retrain, Trust, cells_to_retrain, refuse, report_text, say
from gcnnbench.cli.check_report import JUnit, report_checks
from gcnnbench.cli.options import Data, Format, Include, OutputFormat
from gcnnbench.cli.output import tell, tell_document
from gcnnbench.cli.written_options import refuse_these

if TYPE_CHECKING:
    from gcnnbench.submissions.verifying import BundleReport, Depth


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

    wanted = cells_to_retrain(retrain, no_rescore)
    if no_rescore:
        refuse_these("with --no-rescore, which runs nothing of it", "trust")
    try:
        depth: Depth = "read" if no_rescore else "rescore"
        report = verify_bundle(path, data, depth=depth, retrain=wanted, trust=trust, include=include, say=say)
    except Refused as error:
        report_checks(
            "gcnnbench verify bundle",
            [Case(finding.check, (Fault(f"{finding.what}; {finding.remedy}"),)) for finding in error.findings],
            junit,
        )
        if output is OutputFormat.json:
            rows = [{"id": finding.check, "verdict": "refused", **finding.model_dump()} for finding in error.findings]
            tell_document({"rows": rows, "summary": {"refused": len(rows)}})
        refuse(error, path)
    else:
        report_checks("gcnnbench verify bundle", [Case(str(path))], junit)
        if output is OutputFormat.json:
            tell_document(_document(report))
        else:
            tell(report_text(report))


def _document(report: BundleReport) -> dict[str, Any]:
    rows = [{"id": one.place, "verdict": one.grade, "note": one.note} for one in report.measured]
    return {"rows": rows, "summary": dict(Counter(one.grade for one in report.measured))}
