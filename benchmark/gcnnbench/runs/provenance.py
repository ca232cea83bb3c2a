"""Where and with what something ran: versions, commit, machine and time. No part of any digest."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from gcnnbench import __version__
from gcnnbench.errors import UserError
from gcnnbench.git import git_text
from gcnnbench.outside_text import as_line

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "scikit-learn", "pillow", "safetensors", "e2cnn", "pydantic")
CHECKOUT = Path(__file__).resolve().parents[3]
CHANGES_NUMBERS = ("benchmark", "models", "datasets", "pyproject.toml", "constraints.txt")


EARLIEST = "2026-01-01T00:00:00+00:00"
"""Before the suite was begun: no clock that is right can say so."""


def now() -> str:
    """The time in UTC, to the second, in ISO 8601.

    Raises:
        UserError: this machine's clock is before `EARLIEST`, and a record would tell a false time.
    """
    found = datetime.now(UTC).isoformat(timespec="seconds")
    if found < EARLIEST:
        raise UserError(f"this machine's clock says {found}; set it, as records tell when they were made")
    return found


def versions() -> dict[str, str]:
    """Versions of the suite, of Python and of the libraries that numbers could depend on, as this process found them.

    What was not installed is looked for again: a notebook may install it between two cells.
    """
    found = {"gcnnbench": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = _version(package)
        except PackageNotFoundError:
            continue
    return found


@cache
def _version(package: str) -> str:
    return version(package)


def platform_name() -> str:
    """Operating system and processor architecture, without the host's name."""
    return as_line(f"{platform.system()} {platform.release()} {platform.machine()}")


@dataclass
class _Checkout:
    """What this process knows of the checkout that its code comes from."""

    commit: str | None
    dirty: bool | None = None


def commit() -> tuple[str | None, bool | None]:
    """The commit that this process began with, and whether anything that can change numbers differs from it.

    It is asked anew at each call, as modules are imported late; once something differed it stays so, as what was
    imported stays. Nulls outside a checkout.
    """
    here = _checkout()
    if here.commit is not None and not here.dirty:
        here.dirty = _differs_from(here.commit)
    return here.commit, here.dirty


@cache
def _checkout() -> _Checkout:
    head = git_text(CHECKOUT, "rev-parse", "HEAD") if (CHECKOUT / ".git").exists() else None
    return _Checkout(head.strip() if head else None)


def _differs_from(head: str) -> bool | None:
    """Whether a file that can change numbers is another than in this commit, or new; null where git does not say."""
    asked = (("diff", "--name-only", head), ("ls-files", "--others", "--exclude-standard"))
    told = [git_text(CHECKOUT, *words, "--", *CHANGES_NUMBERS) for words in asked]
    return True if any(told) else None if None in told else False
