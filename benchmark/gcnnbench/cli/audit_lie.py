"""`audit --lie`: the Lie derivative of a network, and what each layer contributes to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gcnnbench.cli.audit_options import AuditFormat, StencilName, parse_sizes
from gcnnbench.cli.foreign_output import foreign_output
from gcnnbench.cli.output import tell
from gcnnbench.errors import UserError

if TYPE_CHECKING:
    from gcnnbench.equivariance.targets import Target


def audit_lie(
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
    """Measure and print it, and draw it where a figure is asked for.

    Args:
        target: the network.
        sizes: as `--sizes` has them.
        channels: of the input; tried out where None.
        motions: as `--lie` has them.
        form: of the table.
        figure: the stem of the figure's files.
        layers: whether to decompose it.
        stencil: how slopes are taken.
        as_scalar: whether regular features turn as if they were scalar.
        images: how many digits.

    Raises:
        UserError: no size is named, a motion is unknown, or the network cannot be measured.
    """
    from gcnnbench.equivariance.channels import find_channels
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
