"""What a check of a submission found wrong: the check's name, what is wrong, and what would be right."""

from __future__ import annotations

from typing import Annotated

from pydantic import StringConstraints

from benchmark.cards.schema import Model

CheckName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]


class Finding(Model):
    """One thing that a check found wrong; its text is `check: what; remedy`."""

    check: CheckName
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.check}: {self.what}; {self.remedy}"
