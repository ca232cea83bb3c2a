"""Asks git about a folder, where git is installed."""

from __future__ import annotations

import subprocess
from pathlib import Path


def ask_git(folder: Path, *arguments: str) -> tuple[int | None, bytes]:
    """Git's exit code, null where git is missing, and what it printed."""
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, check=False)
    except OSError:
        return None, b""
    return done.returncode, done.stdout


def git_text(folder: Path, *arguments: str) -> str | None:
    """What git prints; null where it is missing or refuses."""
    code, printed = ask_git(folder, *arguments)
    return printed.decode("utf-8") if code == 0 else None
