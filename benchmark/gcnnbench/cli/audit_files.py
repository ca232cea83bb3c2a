"""The files that `audit` writes beside its table: figures, a passport and a badge."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gcnnbench.cli.foreign_output import foreign_output
from gcnnbench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gcnnbench.equivariance.audit import Audit
    from gcnnbench.equivariance.targets import Target
    from gcnnbench.equivariance.wording import Words
    from gcnnbench.nn.fields import Field


@dataclass(frozen=True)
class AuditFiles:
    """Where the files go; None where one is not asked for.

    Args:
        figure: the stem of the figures.
        passport: the passport's file; its suffix says the form.
        badge: the badge's file, likewise.

    Raises:
        UserError: a file's name ends otherwise, or two files are to have one place.
    """

    figure: Path | None
    passport: Path | None
    badge: Path | None

    def __post_init__(self) -> None:
        for option, path, known in (
            ("--passport", self.passport, (".json", ".md")),
            ("--badge", self.badge, (".svg", ".json")),
        ):
            if path is not None and path.suffix not in known:
                raise UserError(f"{option} (={str(path)!r}) must end in {' or '.join(known)}, which says the form")
        if self.passport and self.badge and self.passport.resolve() == self.badge.resolve():
            raise UserError(f"--passport and --badge are both {self.badge}: give each a file of its own")

    @property
    def need_passport(self) -> bool:
        """Whether a passport has to be made: a badge shows what it says."""
        return self.passport is not None or self.badge is not None

    def write(self, found: Audit, words: Sequence[Words], target: Target, output: Field | None) -> None:
        """Draw and write what is asked for, and say where it went.

        Args:
            found: the audit.
            words: of each of its rows.
            target: the network.
            output: how its output should transform; invariant logits where None.
        """
        if self.figure is not None:
            from gcnnbench.figures.audit import draw

            _say(draw(found, words, self.figure))
        if self.need_passport:
            _say(self._write_passport(found, words, target, output))

    def _write_passport(
        self, found: Audit, words: Sequence[Words], target: Target, output: Field | None
    ) -> Iterator[Path]:
        from gcnnbench.disk import write_whole
        from gcnnbench.passport.passport import passport as passport_of
        from gcnnbench.passport.text import badge_json, badge_svg, card_section
        from gcnnbench.strict_json import json_document

        with foreign_output():
            made = passport_of(found, target.make, words, output)
        texts: dict[Path, str] = {}
        if self.passport is not None:
            as_json = self.passport.suffix == ".json"
            texts[self.passport] = json_document(made.document()) if as_json else card_section(made)
        if self.badge is not None:
            texts[self.badge] = badge_svg(made) if self.badge.suffix == ".svg" else badge_json(made)
        for path, text in texts.items():
            write_whole(path, text.encode())
            yield path


def _say(paths: Iterable[Path]) -> None:
    for path in paths:
        typer.echo(f"wrote {path}", err=True)
