"""`audit`: judges whether a network is exactly equivariant, at every input size that is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gcnnbench.cli.audit_files import AuditFiles
from gcnnbench.cli.audit_lie import audit_lie
from gcnnbench.cli.audit_options import (
    AuditFormat,
    GroupName,
    OutputKind,
    StencilName,
    acting_group,
    output_field,
    parse_arguments,
    parse_sizes,
)
from gcnnbench.cli.audit_sizes import audit_sizes, claimed_sizes
from gcnnbench.cli.audit_zoo import audit_zoo
from gcnnbench.cli.foreign_output import foreign_output
from gcnnbench.cli.options import Include
from gcnnbench.cli.output import tell
from gcnnbench.cli.written_files import file_to_write, stem_to_write
from gcnnbench.cli.written_options import refuse_others, refuse_these
from gcnnbench.errors import UserError

DEFAULT_SIZES = "24-40"


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
        Path | None,
        typer.Option(
            metavar="FILE.md", help="--zoo: write the page there instead of printing it.", callback=file_to_write
        ),
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
            metavar="STEM",
            help="Write STEM-size and STEM-depth as SVG and PNG; with --lie --layers STEM-kinds.",
            callback=stem_to_write,
        ),
    ] = None,
    passport: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.json|md",
            help="Write all of it, with repairs, weights and arithmetics; as Markdown a section of a model card.",
            callback=file_to_write,
        ),
    ] = None,
    badge: Annotated[
        Path | None,
        typer.Option(metavar="FILE.svg|json", help="Write a badge; as JSON for shields.io.", callback=file_to_write),
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
        refuse_others("with --zoo", "zoo", "network", "checkouts", "write")
        audit_zoo(network, checkouts, write)
        return
    refuse_these("without --zoo", "checkouts", "write")
    if lie is None:
        refuse_these("without --lie", "layers", "stencil", "as_scalar", "images")
    elif not layers:
        refuse_these("with --lie, without --layers", "figure", "as_scalar")
    if lie is not None:
        of_lie = ("lie", "layers", "stencil", "as_scalar", "images")
        refuse_others("with --lie", *of_lie, "network", "sizes", "channels", "arguments", "figure", "form")
    elif explain is not None:
        refuse_others("with --explain", "explain", "network", "group", "output", "channels", "arguments")
    if network is None:
        raise UserError("say which NETWORK to audit, as in p4cnn@28 or file.py:factory; or --zoo for those of others")
    if ":" not in network and not network.endswith(".py"):
        from gcnnbench.cards.registry import Registry

        Registry.load(include).model(network)

    from gcnnbench.equivariance.explanation import explain as explain_size
    from gcnnbench.equivariance.targets import resolve

    with foreign_output():
        target = resolve(network, parse_arguments(arguments or []), include)
    judged = acting_group(group) or target.group
    field, channels = output_field(output, judged), channels or target.channels
    if lie is not None:
        asked = sizes or str(target.size or "")
        audit_lie(
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
    if explain is not None:
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
    files = AuditFiles(figure, passport, badge)
    wanted = parse_sizes(sizes or (str(target.size) if target.size else DEFAULT_SIZES))
    claims = claimed_sizes(target, judged, wanted, parse_sizes(exact_at) if exact_at else ())
    audit_sizes(target, wanted, claims, judged, channels, field, form, files)
