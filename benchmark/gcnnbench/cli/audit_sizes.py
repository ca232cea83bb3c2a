"""An audit over sizes as the command makes it: its table, the files beside it, and whether what is claimed holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from gcnnbench.cli.audit_table import audit_text
from gcnnbench.cli.exit_codes import CHECK_FAILED
from gcnnbench.cli.foreign_output import foreign_output
from gcnnbench.cli.output import tell
from gcnnbench.errors import UserError

if TYPE_CHECKING:
    from gcnnbench.cli.audit_files import AuditFiles
    from gcnnbench.cli.audit_options import AuditFormat
    from gcnnbench.equivariance.targets import Target
    from gcnnbench.equivariance.wording import Words
    from gcnnbench.nn.fields import Field
    from gcnnbench.nn.groups import ActingGroup


def claimed_sizes(
    target: Target, group: ActingGroup, wanted: Sequence[int], exact_at: Sequence[int]
) -> tuple[int, ...]:
    """The sizes of an audit at which the network is said to be exact: by its card, and by the user.

    Args:
        target: the network, with the claims of its card.
        group: under which it is judged; a card's claims hold under its own group.
        wanted: the sizes of the audit.
        exact_at: those that the user claims.

    Raises:
        UserError: the user claims a size that is not looked at.
    """
    if unasked := sorted(set(exact_at) - set(wanted)):
        raise UserError(f"--exact-at names {unasked[0]}, which is not among --sizes; a claim must be looked at")
    own = target.exact_at if set(group.elements) <= set(target.group.elements) else ()
    return tuple(sorted({*own, *exact_at} & set(wanted)))


def audit_sizes(
    target: Target,
    wanted: Sequence[int],
    claims: Sequence[int],
    group: ActingGroup,
    channels: int | None,
    output: Field | None,
    form: AuditFormat,
    files: AuditFiles,
) -> None:
    """Judge a network at each size, print the table, and write the files that are asked for.

    Args:
        target: the network, with what its card claims.
        wanted: the sizes.
        claims: those at which it is said to be exact.
        group: under which it is judged.
        channels: of the input; tried out where None.
        output: how the output should transform; invariant logits where None.
        form: of the table.
        files: those to write beside it.

    Raises:
        Exit: a claim does not hold.
    """
    from gcnnbench.equivariance.audit import audit
    from gcnnbench.equivariance.claims import claimed_learnt
    from gcnnbench.equivariance.wording import words

    with foreign_output():
        found = audit(
            target.make,
            wanted,
            group,
            channels=channels,
            output=output,
            name=target.name,
            claims=claims,
            claims_trivial=target.claims_trivial,
            nearest=files.need_passport,
        )
        read: list[Words] = [words(found, row) for row in found.sizes]
        learnt = {size: claimed_learnt(target, size) for size in wanted if size in target.learnt_at}
    tell(audit_text(found, read, form, {size: one.statements(target.group) for size, one in learnt.items()}), form)
    files.write(found, read, target, output)
    told = {size: one.wrong(target.group) for size, one in learnt.items()}
    failures = [*found.failures, *(f"{size} stands in learnt_at, but {wrong}" for size, wrong in told.items() if wrong)]
    for failure in failures:
        typer.echo(f"{found.network} at {failure}", err=True)
    if failures:
        raise typer.Exit(CHECK_FAILED)
