"""`audit`: exact or approximate, for an entry of the registry or anyone's network, over input sizes."""

from __future__ import annotations

import ast
import csv
import io
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gcnnbench.cli.options import Include
from gcnnbench.cli.output import tell
from gcnnbench.errors import UserError

if TYPE_CHECKING:
    from gcnnbench.equivariance.audit import Audit
    from gcnnbench.equivariance.targets import Target
    from gcnnbench.equivariance.wording import Words
    from gcnnbench.nn.fields import Field
    from gcnnbench.nn.groups import ActingGroup

DEFAULT_SIZES = "24-40"
CHECK_FAILED = 1
ROUNDING = 1e-12


class AuditFormat(StrEnum):
    """How an audit is printed."""

    md = "md"
    json = "json"
    csv = "csv"


class GroupName(StrEnum):
    """Under which group a network can be judged."""

    p2 = "p2"
    pm = "pm"
    p4 = "p4"
    p4m = "p4m"
    shifts = "shifts"
    shifts_p4 = "shifts-p4"


class StencilName(StrEnum):
    """How slopes on pixels are taken."""

    central = "central"
    bilinear = "bilinear"


class OutputKind(StrEnum):
    """How the output transforms."""

    logits = "logits"
    scalar = "scalar"
    regular = "regular"


def audit(
    network: Annotated[
        str | None,
        typer.Argument(
            metavar="NETWORK",
            help="An entry (p4cnn@28), a model's slug, or your own code: package.module:factory or file.py:factory.",
            show_default=False,
        ),
    ] = None,
    *,
    zoo: Annotated[
        bool,
        typer.Option(
            "--zoo",
            help="Audit other people's networks at their papers' sizes, claimed beside found; NETWORK names one card.",
        ),
    ] = False,
    checkouts: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="--zoo: a folder with clones of the repositories that are no packages."),
    ] = None,
    write: Annotated[
        Path | None, typer.Option(metavar="FILE.md", help="--zoo: write the page there instead of printing it.")
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(
            metavar="24-40", help="Input sizes, as in 24-40 or 32,33.", show_default="the entry's own, else 24-40"
        ),
    ] = None,
    group: Annotated[
        GroupName | None,
        typer.Option(help="Judge under this group; shifts are circular ones.", show_default="the card's, else p4"),
    ] = None,
    output: Annotated[OutputKind, typer.Option(help="How the output transforms.")] = OutputKind.logits,
    channels: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Channels of the input.", show_default="tried out: 3, 1, 2, 4"),
    ] = None,
    arguments: Annotated[
        list[str] | None,
        typer.Option("--arg", metavar="KEY=VALUE", help="An argument for your factory; may be repeated."),
    ] = None,
    exact_at: Annotated[
        str | None,
        typer.Option(
            metavar="33,37", help="Sizes at which your network claims to be exact; checked, else exit code 1."
        ),
    ] = None,
    explain: Annotated[
        int | None, typer.Option(metavar="SIZE", min=1, help="Walk through one size and say how to repair it.")
    ] = None,
    lie: Annotated[
        str | None,
        typer.Option(
            metavar="rotation,translation-x",
            help="Measure the Lie derivative under these continuous motions instead; translation-y, too.",
        ),
    ] = None,
    layers: Annotated[
        bool, typer.Option("--layers", help="--lie: what each layer contributes; the contributions add up exactly.")
    ] = False,
    stencil: Annotated[
        StencilName | None,
        typer.Option(
            help="--lie: slopes on pixels; bilinear is the paper's, a shift and a half-pixel blur in one.",
            show_default="central",
        ),
    ] = None,
    as_scalar: Annotated[
        bool, typer.Option("--as-scalar", help="--lie --layers: turn regular features as if they were scalar.")
    ] = False,
    images: Annotated[
        int | None,
        typer.Option(metavar="N", min=2, max=500, help="--lie: digits to measure on.", show_default="8"),
    ] = None,
    figure: Annotated[
        Path | None,
        typer.Option(
            metavar="STEM", help="Write STEM-size and STEM-depth as SVG and PNG; with --lie --layers STEM-kinds."
        ),
    ] = None,
    passport: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json|md",
            help="Write all of it, with repairs, weights and arithmetics; as Markdown a section of a model card.",
        ),
    ] = None,
    badge: Annotated[
        Path | None, typer.Option(metavar="FILE.svg|json", help="Write a badge; as JSON for shields.io.")
    ] = None,
    form: Annotated[AuditFormat, typer.Option("--format", help="The form of the table.")] = AuditFormat.md,
    include: Include,
) -> None:
    """Say at which input sizes a network is exactly equivariant, and which layer breaks it elsewhere.

    It is measured in float64 on real images, with the weights as given and drawn anew, and judged from the operations.
    Code of your own is imported and run as yourself, without any protection: point only at code that you trust.

    Ends with 1 if a claimed exactness does not hold: that of a model's card, or of --exact-at. With --zoo the claims
    are other people's, and what is found of them is the result.
    """
    if zoo:
        _audit_zoo(network, checkouts, write)
        return
    if checkouts is not None or write is not None:
        raise UserError("--checkouts and --write belong to --zoo")
    if network is None:
        raise UserError("say which NETWORK to audit, as in p4cnn@28 or file.py:factory; or --zoo for those of others")
    from gcnnbench.equivariance.audit import audit as audit_network
    from gcnnbench.equivariance.claims import claimed_learnt
    from gcnnbench.equivariance.explanation import explain as explain_size
    from gcnnbench.equivariance.targets import resolve
    from gcnnbench.equivariance.wording import Reader

    with foreign_output():
        target = resolve(network, _arguments(arguments or []), include)
    judged = _group(group) or target.group
    field, channels = _field(output, judged), channels or target.channels
    if lie is not None:
        if (figure is not None or as_scalar) and not layers:
            raise UserError(
                "--figure and --as-scalar are about contributions of layers: add --layers, or leave them out"
            )
        asked = sizes or str(target.size or "")
        _lie(
            target,
            asked,
            channels,
            lie,
            form,
            figure,
            layers=layers,
            stencil=stencil,
            as_scalar=as_scalar,
            images=images,
        )
        return
    if layers or stencil is not None or as_scalar or images is not None:
        raise UserError("--layers, --stencil, --as-scalar and --images belong to --lie")
    if explain is not None:
        if form is not AuditFormat.md:
            raise UserError(f"--explain is prose and has no form {form.value}: leave out --format")
        with foreign_output():
            text = explain_size(
                target.make,
                explain,
                judged,
                channels=channels,
                output=field,
                name=target.name,
                claims_trivial=target.claims_trivial,
            )
        tell(text)
        return
    wanted = parse_sizes(sizes or (str(target.size) if target.size else DEFAULT_SIZES))
    own = target.exact_at if set(judged.elements) <= set(target.group.elements) else ()
    claims = {*own, *(parse_sizes(exact_at) if exact_at else ())} & set(wanted)
    unasked = sorted(set(parse_sizes(exact_at)) - set(wanted)) if exact_at else []
    if unasked:
        raise UserError(f"--exact-at names {unasked[0]}, which is not among --sizes; a claim must be looked at")
    files = [path for path in (passport, badge) if path is not None]
    _check_suffixes(passport, badge)
    with foreign_output():
        found = audit_network(
            target.make,
            wanted,
            judged,
            channels=channels,
            output=field,
            name=target.name,
            claims=sorted(claims),
            claims_trivial=target.claims_trivial,
            nearest=bool(files),
        )
        reader = Reader(found, target.make, field)
        words: list[Words] = [reader.words(row) for row in found.sizes]
        learnt = {size: claimed_learnt(target, size) for size in wanted if size in target.learnt_at}
    tell(_printed(found, words, form, {size: one.statements(target.group) for size, one in learnt.items()}), form)
    if figure is not None:
        from gcnnbench.figures.audit import draw

        for path in draw(found, words, figure):
            typer.echo(f"wrote {path}", err=True)
    if files:
        _write_passport(found, words, target, field, passport, badge)
    told = {size: one.wrong(target.group) for size, one in learnt.items()}
    failures = [*found.failures, *(f"{size} stands in learnt_at, but {wrong}" for size, wrong in told.items() if wrong)]
    for failure in failures:
        typer.echo(f"{found.network} at {failure}", err=True)
    if failures:
        raise typer.Exit(CHECK_FAILED)


def _lie(
    target: Target,
    sizes: str,
    channels: int | None,
    motions: str,
    form: AuditFormat,
    figure: Path | None,
    *,
    layers: bool,
    stencil: StencilName | None,
    as_scalar: bool,
    images: int | None,
) -> None:
    from gcnnbench.equivariance.audit import find_channels
    from gcnnbench.equivariance.lie_table import IMAGES, lie_table

    if not sizes:
        raise UserError("--lie measures at given sizes: name them as in --sizes 28")
    wanted, asked = parse_sizes(sizes), tuple(dict.fromkeys(one.strip() for one in motions.split(",")))
    with foreign_output():
        held = channels or find_channels(target.make, wanted, target.name)
        found = lie_table(
            target.make,
            wanted,
            asked,
            channels=held,
            layers=layers,
            stencil=(stencil or StencilName.central).value,
            as_scalar=as_scalar,
            images=images or IMAGES,
        )
    text = found.text(form.value)
    tell(f"{target.name}\n\n{text}" if form is AuditFormat.md else text, form)
    if figure is not None:
        from gcnnbench.figures.contributions import draw_contributions

        for path in draw_contributions(target.name, found.decompositions, figure):
            typer.echo(f"wrote {path}", err=True)


def _audit_zoo(only: str | None, checkouts: Path | None, write: Path | None) -> None:
    from gcnnbench.disk import write_whole
    from gcnnbench.zoo.auditing import audit_zoo
    from gcnnbench.zoo.cards import read_zoo
    from gcnnbench.zoo.text import line, page

    cards = read_zoo()
    chosen = [card for card in cards if only in (None, card.name)]
    if not chosen:
        raise UserError(f"there is no card '{only}' in the zoo: one of {', '.join(card.name for card in cards)}")
    if checkouts is not None and not checkouts.is_dir():
        raise UserError(f"--checkouts (={str(checkouts)!r}) is no folder")
    with foreign_output():
        rows = audit_zoo(chosen, checkouts, lambda row: typer.echo(line(row), err=True))
    if write is None:
        typer.echo(page(rows), nl=False)
    else:
        write_whole(write, page(rows).encode())
        typer.echo(f"wrote {write}", err=True)


def _check_suffixes(passport: Path | None, badge: Path | None) -> None:
    """Before anything is measured.

    Raises:
        UserError: a file's name does not say in which form it is to be written.
    """
    for option, path, known in (("--passport", passport, (".json", ".md")), ("--badge", badge, (".svg", ".json"))):
        if path is not None and path.suffix not in known:
            raise UserError(f"{option} (={str(path)!r}) must end in {' or '.join(known)}, which says the form")


def _write_passport(
    found: Audit, words: list[Words], target: Target, output: Field | None, passport: Path | None, badge: Path | None
) -> None:
    from gcnnbench.disk import write_whole
    from gcnnbench.passport.passport import passport as passport_of
    from gcnnbench.passport.text import badge_json, badge_svg, card_section

    with foreign_output():
        made = passport_of(found, target.make, words, output)
    texts: dict[Path, str] = {}
    if passport is not None:
        from gcnnbench.strict_json import json_document

        document = json_document(made.document())
        texts[passport] = document if passport.suffix == ".json" else card_section(made)
    if badge is not None:
        texts[badge] = badge_svg(made) if badge.suffix == ".svg" else badge_json(made)
    for path, text in texts.items():
        write_whole(path, text.encode())
        typer.echo(f"wrote {path}", err=True)


@contextmanager
def foreign_output() -> Iterator[None]:
    """Let what foreign code prints, in Python or below it, go to standard error, and only the verb's own words out."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:  # there is no standard output
        kept = None
    try:
        if kept is not None:
            os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def parse_sizes(text: str) -> tuple[int, ...]:
    """The sizes in `24-40`, `32,33` or `8,24-40`, in order.

    Raises:
        UserError: the text has another form, or a range runs backwards.
    """
    found: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([1-9]\d*)(?:\s*-\s*([1-9]\d*))?\s*", part)
        if match is None:
            raise UserError(f"sizes (={text!r}) must be numbers and ranges, as in 24-40 or 32,33")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first:
            raise UserError(f"sizes (={text!r}): {first}-{last} runs backwards; write {last}-{first}")
        found.extend(range(first, last + 1))
    return tuple(dict.fromkeys(found))


def _arguments(texts: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise UserError(f"--arg (={text!r}) must be KEY=VALUE, as in widen_factor=2")
        try:
            found[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            found[key] = value
    return found


def _group(name: GroupName | None) -> ActingGroup | None:
    from gcnnbench.nn.groups import group

    return None if name is None else group(name.value)


def _field(output: OutputKind, group: ActingGroup) -> Field | None:
    from gcnnbench.nn.fields import ScalarField, feature_field

    if output is OutputKind.logits:
        return None
    return ScalarField() if output is OutputKind.scalar else feature_field(group.point)


def _printed(found: Audit, words: list[Words], form: AuditFormat, learnt: dict[int, dict[str, str]]) -> str:
    rows = [row.document() | {"verdict": word} for row, word in zip(found.sizes, words, strict=True)]
    if form is AuditFormat.json:
        rows = [
            row | ({"learnt": learnt[one.size]} if one.size in learnt else {})
            for row, one in zip(rows, found.sizes, strict=True)
        ]
        return json.dumps(found.document() | {"sizes": rows}, indent=1, ensure_ascii=False)
    if form is AuditFormat.csv:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()
    from gcnnbench.equivariance.wording import legend

    said = (
        f"learnt at {size}: at the symmetric point that its layers declare {one['form']}, with weights drawn anew "
        f"{one['freedom']}, as given {one['as given']}"
        for size, one in learnt.items()
    )
    lines = "\n".join(f"- {line}" for line in (*said, *legend(found, words)))
    return f"{found.network} under {found.group}\n\n{_table(found, words)}\n\n{lines}"


def _table(found: Audit, words: list[Words]) -> str:
    from gcnnbench.layout import pipes

    header = ["size", "grid", "verdict", "first break", "error as given", "drawn anew"]
    cells = [
        [
            str(row.size),
            row.grid,
            word,
            row.first_break or (row.reason if row.decision in ("inapplicable", "unknown") else None) or "–",
            _error(row.invariance_error),
            _error(row.drawn_error),
        ]
        for row, word in zip(found.sizes, words, strict=True)
    ]
    return pipes((header, cells, "rlllrr"))


def _error(error: float | None) -> str:
    """An error for people; rounding has other digits on every machine, so they are not shown."""
    if error is None:
        return "–"
    return f"{error:.1e}" if error >= ROUNDING else f"< {ROUNDING:.0e}"
