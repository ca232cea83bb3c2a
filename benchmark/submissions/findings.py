"""What a check of a submission found wrong: the check's name, what is wrong, and what would be right."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import StringConstraints

from benchmark.cards.schema import Model
from benchmark.errors import UserError

CheckName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Finding(Model):
    """One thing that a check found wrong; its text is `check: what; remedy`."""

    check: CheckName
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.check}: {self.what}; {self.remedy}"


class Refused(UserError):  # noqa: N818 — what happens to a submission, in the words of this package
    """A submission or a bundle that a check refuses, with everything that was found."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(dict.fromkeys(findings))
        super().__init__("\n".join(map(str, self.findings)))
