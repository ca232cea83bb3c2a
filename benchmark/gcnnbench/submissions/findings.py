"""What a check of a submission found wrong: the check's name, what is wrong, and what would be right."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, StringConstraints

from gcnnbench.cards.base import Model
from gcnnbench.errors import UserError
from gcnnbench.formatting import how_many
from gcnnbench.outside_text import as_line

LINE = 600
MOST_FINDINGS = 50
"""Findings that are said of one thing; who has more wrong than that mends these first."""

CheckName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=40)]


Told = Annotated[str, BeforeValidator(lambda text: as_line(text, LINE) if isinstance(text, str) else text)]
"""Text that may quote what others wrote, as one line in which every character shows."""


class Finding(Model):
    """One thing that a check found wrong; its text is `check: what; remedy`."""

    check: CheckName
    what: Told
    remedy: Told

    def __str__(self) -> str:
        return f"{self.check}: {self.what}; {self.remedy}"


class Refused(UserError):  # noqa: N818 — what happens to a submission, in the words of this package
    """A submission or a bundle that a check refuses, with everything that was found, at most `MOST_FINDINGS`."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        found = tuple(dict.fromkeys(findings))
        self.findings = found[:MOST_FINDINGS]
        if len(found) > MOST_FINDINGS:
            what = f"{how_many(len(found) - MOST_FINDINGS, 'more finding is', 'more findings are')} not shown"
            self.findings += (Finding(check="more", what=what, remedy="mend these first"),)
        super().__init__("\n".join(map(str, self.findings)))


@contextmanager
def guarded(path: Path, check: str = "unreadable") -> Iterator[None]:
    """The boundary around everything that reads what others bring: whatever goes wrong in it is a refusal by name.

    Args:
        path: what is read.
        check: whose finding it is.

    Raises:
        Refused: anything but a user's mistake was raised; the finding names it, and where in this suite it came up.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        what = f"{path.name} cannot be read: {type(error).__name__} at {place}: {error}"
        raise Refused([Finding(check=check, what=what, remedy="bring what `gcnnbench submit` packs")]) from error
