"""Reads git: whether a commit is in the history, and the content of a file at a revision."""

from __future__ import annotations

from pathlib import Path

from gcnnbench.errors import UserError
from gcnnbench.git import ask_git
from gcnnbench.runs.provenance import CHECKOUT


def in_history(commit: str) -> bool | None:
    """Whether a commit is HEAD or one of its ancestors; null where there is no git or no repository to ask."""
    if not (CHECKOUT / ".git").exists():
        return None
    code, _ = ask_git(CHECKOUT, "merge-base", "--is-ancestor", commit, "HEAD")
    return None if code is None else code == 0


def files_at(revision: str, folder: Path, ending: str) -> dict[str, bytes]:
    """The files directly in a folder, by name, as they were at a revision of the folder's repository.

    Args:
        revision: whatever git takes for one, as `HEAD~3`, `main` or a commit.
        folder: an existing folder of a checkout.
        ending: how the files' names end.

    Raises:
        UserError: git is missing, the folder is in no repository, or there is no such revision.
    """
    code, commit = ask_git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    if code is None or ask_git(folder, "rev-parse", "--git-dir")[0] != 0:
        raise UserError(f"{folder} is in no git repository, so there is no revision {revision} of it")
    if code != 0:
        raise UserError(f"there is no revision {revision} here; see git log --oneline")
    at = commit.decode().strip()
    _, listing = ask_git(folder, "ls-tree", "-z", "--name-only", at, "./")
    names = [name for name in listing.decode().split("\0") if name.endswith(ending)]
    return {name: ask_git(folder, "show", f"{at}:./{name}")[1] for name in names}
