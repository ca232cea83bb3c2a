"""Where and with what something ran: versions, commit, machine and time. No part of any digest."""

from __future__ import annotations

import platform
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


@cache
def versions() -> dict[str, str]:
    """Versions of the suite, of Python and of the libraries that numbers could depend on."""
    found = {"gcnnbench": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def platform_name() -> str:
    """Operating system and processor architecture, without the host's name."""
    return as_line(f"{platform.system()} {platform.release()} {platform.machine()}")


@cache
def commit() -> tuple[str | None, bool | None]:
    """The checkout's commit, and whether anything that can change numbers differs from it; nulls outside a checkout."""
    if not (CHECKOUT / ".git").exists():
        return None, None
    head = git_text(CHECKOUT, "rev-parse", "HEAD")
    changed = git_text(CHECKOUT, "status", "--porcelain", "--", *CHANGES_NUMBERS)
    return (head.strip() if head else None), (None if changed is None else bool(changed.strip()))
