"""`export`: writes an entry, a data set or a bundle in the formats of other tools."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gcnnbench.cli.options import Include, Results
from gcnnbench.cli.written_options import refuse_others
from gcnnbench.errors import UserError
from gcnnbench.plain_files import read_text_given

if TYPE_CHECKING:
    from gcnnbench.cards.registry import Registry
    from gcnnbench.explain.explanation import Explanation
    from gcnnbench.record_checks.rows import RecordRow


class ExportForm(StrEnum):
    """What is written."""

    eval_results = "eval-results"
    model_card = "model-card"
    in_toto = "in-toto"
    croissant = "croissant"
    ro_crate = "ro-crate"


OPTIONS: dict[ExportForm, tuple[str, ...]] = {
    ExportForm.eval_results: ("metric", "dataset", "revision", "url"),
    ExportForm.model_card: ("metric", "passport"),
    ExportForm.in_toto: ("metric",),
    ExportForm.croissant: (),
    ExportForm.ro_crate: (),
}
"""The options that a form looks at."""

FORMS = """write one of
  gcnnbench export eval-results BENCHMARK ENTRY [--metric M] [--dataset ID]   for a model on the Hugging Face hub
  gcnnbench export model-card BENCHMARK ENTRY [--passport FILE.md]            its README.md there
  gcnnbench export in-toto BENCHMARK ENTRY                                    what verify records says, as a statement
  gcnnbench export croissant DATASET                                          a data set's card
  gcnnbench export ro-crate BUNDLE                                            for ro-crate-metadata.json in a bundle"""


def export(
    form: Annotated[ExportForm, typer.Argument(metavar="FORM", help="The format.")],
    names: Annotated[list[str], typer.Argument(metavar="NAME", help="What is exported: see below.")],
    *,
    metric: Annotated[
        str | None, typer.Option("--metric", metavar="METRIC", help="Another number than the one it is ranked by.")
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(metavar="ID", help="eval-results: the data set on the hub.", show_default="gcnnbench/NAME"),
    ] = None,
    revision: Annotated[
        str | None, typer.Option(metavar="SHA", help="eval-results: the data set's revision there.")
    ] = None,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="eval-results: where the records can be seen.")
    ] = None,
    passport: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="model-card: what audit --passport wrote.")
    ] = None,
    results: Results,
    include: Include,
) -> None:
    """Print an entry, a data set or a bundle in a format that other tools read.

    eval-results, model-card and in-toto take BENCHMARK ENTRY, croissant a DATASET, ro-crate a BUNDLE's directory.
    """
    from gcnnbench.cards.elements import ELEMENTS
    from gcnnbench.cards.registry import Registry
    from gcnnbench.explain.metric_names import metric_named

    if len(names) != (1 if form in (ExportForm.croissant, ExportForm.ro_crate) else 2):
        raise UserError(f"{form.value} takes other names; {FORMS}")
    refuse_others(f"in the form {form.value}", "form", "names", *OPTIONS[form])
    registry = Registry.load(include)
    if len(names) == 2:
        (card,) = registry.chosen([names[0]], [names[1]])
        metric = metric_named(metric or card.rank_by, ELEMENTS[card.evaluation.group])
    elif form is ExportForm.croissant:
        registry.dataset(names[0])
    match form:
        case ExportForm.croissant:
            from gcnnbench.exports.croissant import croissant

            text = croissant(registry, names[0])
        case ExportForm.ro_crate:
            text = _ro_crate(Path(names[0]), include)
        case ExportForm.in_toto:
            from gcnnbench.exports.in_toto import statement

            text = statement(*_checked(registry, results, names, metric))
        case ExportForm.eval_results:
            from gcnnbench.exports.huggingface import eval_results

            found = _verified(registry, results, names, metric)
            text = eval_results(found, dataset or f"gcnnbench/{found.dataset}", revision, url)
        case ExportForm.model_card:
            from gcnnbench.exports.huggingface import model_card

            section = read_text_given(passport) if passport else ""
            text = model_card(registry, _verified(registry, results, names, metric), section)
    typer.echo(text, nl=False)


def _checked(
    registry: Registry, results: Path, names: list[str], metric: str | None
) -> tuple[Explanation, list[RecordRow]]:
    """The number's explanation, and what `verify records` says of all files of its entry."""
    from gcnnbench.explain.lineage import explain
    from gcnnbench.record_checks.recomputing import verify_records
    from gcnnbench.record_checks.rows import Chosen

    found = explain(registry, results, names[0], names[1], metric)
    return found, verify_records(registry, results, Chosen(found.benchmark, (found.entry,)))


def _verified(registry: Registry, results: Path, names: list[str], metric: str | None) -> Explanation:
    """The number's explanation, of an entry all of whose files stand up to `verify records`.

    Raises:
        UserError: one does not; a number without it would be another number.
    """
    found, rows = _checked(registry, results, names, metric)
    bad = [row for row in rows if row.findings]
    if bad:
        again = f"gcnnbench verify records --benchmark {found.benchmark} --entry {found.entry}"
        raise UserError(f"{bad[0].id} does not verify, so nothing is exported: {bad[0].findings[0]}; see {again}")
    return found


def _ro_crate(path: Path, include: list[Path]) -> str:
    from gcnnbench.exports.ro_crate import ro_crate
    from gcnnbench.runs.files import read_files
    from gcnnbench.runs.record import Record
    from gcnnbench.submissions.bundle import open_bundle
    from gcnnbench.submissions.manifest import MANIFEST

    bundle = open_bundle(path, include)
    packed = datetime.fromtimestamp((path / MANIFEST).stat().st_mtime, UTC).date().isoformat()
    days = [
        file.content.provenance.finished[:10] for file in read_files(bundle.results) if isinstance(file.content, Record)
    ]
    return ro_crate(bundle.manifest, bundle.submission.card.licence, max(days, default=packed))
