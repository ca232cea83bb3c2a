"""The files that `audit` writes beside its table: a passport and a badge, each in the form that its name says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gcnnbench.cli.foreign_output import foreign_output
from gcnnbench.errors import UserError

if TYPE_CHECKING:
    from gcnnbench.equivariance.audit import Audit
    from gcnnbench.equivariance.targets import Target
    from gcnnbench.equivariance.wording import Words
    from gcnnbench.nn.fields import Field


def check_suffixes(passport: Path | None, badge: Path | None) -> None:
    """Refuse names that do not say a form, before anything is measured.

    Raises:
        UserError: a file's name ends otherwise.
    """
    for option, path, known in (("--passport", passport, (".json", ".md")), ("--badge", badge, (".svg", ".json"))):
        if path is not None and path.suffix not in known:
            raise UserError(f"{option} (={str(path)!r}) must end in {' or '.join(known)}, which says the form")


def write_passport(
    found: Audit, words: list[Words], target: Target, output: Field | None, passport: Path | None, badge: Path | None
) -> None:
    """Make the passport of an audited network, and write it and its badge where they are asked for."""
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
