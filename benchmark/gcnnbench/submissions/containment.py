"""A container for one process: which files it sees, under which user it runs, and what of that this machine offers.

Bubblewrap builds it where it is installed and works; otherwise util-linux does, from the same namespaces.
"""

from __future__ import annotations

import os
import secrets
import shutil
import site
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

Kind = Literal["bubblewrap", "namespaces", "none"]

TOOLS: dict[Kind, str] = {"bubblewrap": "bwrap", "namespaces": "unshare"}
"""What each kind of container needs, the better one first."""

PACKAGE = Path(__file__).resolve().parents[1]
TOP_LEVEL = ("/bin", "/sbin", "/lib", "/lib32", "/lib64")
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
FIRST_USER, USERS = 61184, 4336
"""User ids that systemd keeps for passing services (`DynamicUser`): they belong to nobody."""


@dataclass(frozen=True)
class Isolation:
    """What this machine offers to contain a process, and why it is no more than that."""

    kind: Kind
    reason: str


@dataclass(frozen=True)
class View:
    """All that a contained process sees, each at its own path.

    Args:
        read: files and folders that it may read.
        scratch: an existing folder, in whose place it finds an empty one to write in.
        scratch_bytes: how much may stand there.
        scratch_files: how many files; bubblewrap cannot bound them, the host counts them.
    """

    read: tuple[Path, ...]
    scratch: Path
    scratch_bytes: int
    scratch_files: int = 1000


def interpreter_files() -> tuple[Path, ...]:
    """The interpreter, its libraries, this package, and what the dynamic loader needs."""
    executable = Path(sys.executable).resolve().parents[1]
    user_site = Path(site.getusersitepackages()) if site.ENABLE_USER_SITE else None
    wanted = [Path("/usr"), Path(sys.prefix), Path(sys.base_prefix), executable, PACKAGE, Path("/etc/ld.so.cache")]
    wanted += [Path("/nix/store"), *([user_site] if user_site else [])]
    wanted += [path for path in map(Path, sys.path) if path.name in ("site-packages", "dist-packages")]
    return tuple(_outermost(path for path in wanted if os.access(path, os.R_OK)))


def labelled_files() -> tuple[Path, ...]:
    """Folders among the interpreter's files that hold labels of a test set: the digits that scikit-learn carries."""
    places = [Path(place) for place in (*site.getsitepackages(), *sys.path) if place]
    digits = dict.fromkeys(place / "sklearn" / "datasets" / "data" for place in places)
    seen = interpreter_files()
    return tuple(folder for folder in digits if folder.is_dir() and any(one in folder.parents for one in seen))


def contained(kind: Kind, view: View, command: Sequence[str]) -> list[str]:
    """The command line that runs a command in a container of this kind; without one, the command itself."""
    if kind == "none":
        return list(command)
    build = _bubblewrap if kind == "bubblewrap" else _namespaces
    return [*build(view), *_unprivileged(kind), *command]


@cache
def isolation() -> Isolation:
    """The best container that works on this machine, found out by building one around the interpreter."""
    refusals: list[str] = []
    for kind, tool in TOOLS.items():
        refusal = _refusal(kind, tool)
        if refusal is None:
            return Isolation(kind, "; ".join(refusals) or f"{tool} works")
        refusals.append(refusal)
    return Isolation("none", "; ".join(refusals))


_PROBE = "import os; import gcnnbench.errors; print(os.getppid() in (0, 1), os.listdir({!r}))"


def _refusal(kind: Kind, tool: str) -> str | None:
    """Why this kind of container does not work here, or None where it does."""
    if shutil.which(tool, path=SEARCH_PATH) is None:
        return f"{tool} is not installed"
    with tempfile.TemporaryDirectory() as folder:
        hidden, scratch = Path(folder) / "hidden", Path(folder) / "scratch"
        hidden.touch()
        scratch.mkdir()
        view = View(interpreter_files(), scratch, 2**20)
        command = contained(kind, view, [sys.executable, "-s", "-P", "-c", _PROBE.format(folder)])
        environment = {"PATH": SEARCH_PATH, "PYTHONPATH": str(PACKAGE.parent)}
        try:
            ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{tool} does not work: {error}"
    if ran.returncode or ran.stdout.strip() != "True ['scratch']":
        said = (ran.stderr.strip() or ran.stdout.strip() or f"exit code {ran.returncode}").splitlines()[-1]
        return f"{tool} does not work: {said}"
    return None


def _bubblewrap(view: View) -> list[str]:
    command = ["bwrap", "--die-with-parent", "--new-session", "--unshare-pid", "--unshare-net", "--unshare-ipc"]
    command += ["--unshare-uts", "--unshare-cgroup-try"]
    if os.geteuid() == 0:  # to become the unprivileged user once the container stands
        command += ["--cap-drop", "ALL"]
        command += [word for right in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", f"CAP_{right}")]
    else:
        command += ["--unshare-user", "--uid", str(FIRST_USER), "--gid", str(FIRST_USER)]
    for parent in _parents((*view.read, view.scratch)):
        command += ["--perms", "0755", "--dir", str(parent)]
    for path in (*map(Path, TOP_LEVEL), *view.read):
        if path.is_symlink() and str(path) in TOP_LEVEL:
            command += ["--symlink", str(path.readlink()), str(path)]
        elif path.exists():
            command += ["--ro-bind", str(path), str(path)]
    for path in labelled_files():
        command += ["--tmpfs", str(path), "--remount-ro", str(path)]
    command += ["--dev", "/dev", "--remount-ro", "/dev", "--proc", "/proc"]
    command += ["--perms", "1777", "--size", str(view.scratch_bytes), "--tmpfs", str(view.scratch)]
    return [*command, "--remount-ro", "/", "--chdir", str(view.scratch), "--"]


_SCRIPT = """
set -eu
root=$1 scratch=$2 bytes=$3 files=$4
shift 4
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs "$root"
while [ "$1" != -- ]; do
    to=$root$2
    mkdir -p "$(dirname "$to")"
    case $1 in
        link) ln -s "$(readlink "$2")" "$to" ;;
        hide) mount -t tmpfs -o ro,nosuid,nodev tmpfs "$to" ;;
        device) : > "$to"; mount --bind "$2" "$to" ;;
        read)
            if [ -d "$2" ]; then mkdir -p "$to"; else : > "$to"; fi
            mount --bind "$2" "$to"
            mount -o remount,bind,ro,nosuid,nodev "$to" ;;
    esac
    shift 2
done
shift
mkdir -p "$root/proc" "$root/old" "$root$scratch"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o "mode=1777,nosuid,nodev,size=$bytes,nr_inodes=$files" tmpfs "$root$scratch"
cd "$root"
pivot_root . old
umount -l /old
rmdir /old
mount -o remount,bind,ro,nosuid,nodev /
cd "$scratch"
exec "$@"
"""


def _namespaces(view: View) -> list[str]:
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "unshare",
        "--mount",
        "--pid",
        "--net",
        "--ipc",
        "--uts",
        "--fork",
        "--kill-child",
    ]
    if os.geteuid() != 0:
        command += ["--user", "--map-root-user"]
    steps: list[str] = []
    for path in map(Path, TOP_LEVEL):
        if path.is_symlink():
            steps += ["link", str(path)]
        elif path.exists():
            steps += ["read", str(path)]
    steps += [word for path in view.read for word in ("read", str(path))]
    steps += [word for path in labelled_files() for word in ("hide", str(path))]
    steps += [word for device in DEVICES if Path(device).exists() for word in ("device", device)]
    # The folder in whose place scratch comes serves as the mount point: in the new namespace nobody else sees that.
    place = str(view.scratch)
    bounds = [str(view.scratch_bytes), str(view.scratch_files)]
    return [*command, "--", "sh", "-c", _SCRIPT, "sh", place, place, *bounds, *steps, "--"]


def _unprivileged(kind: Kind) -> list[str]:
    """Give up user and capabilities. A user of his own, who is not root, has none that he could change to."""
    if os.geteuid() == 0:
        user = str(FIRST_USER + secrets.randbelow(USERS))
        change = [f"--reuid={user}", f"--regid={user}", "--clear-groups"]
    elif kind == "bubblewrap":
        return []
    else:
        change = ["--securebits=+noroot,+noroot_locked"]
    # To die with the host has to be asked for again, because a change of user revokes it.
    return ["setpriv", "--pdeathsig=KILL", *change, "--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"]


def _parents(paths: Sequence[Path]) -> list[Path]:
    """The folders above these paths, outer ones first."""
    return sorted({parent for path in paths for parent in path.parents if parent != Path("/")})


def _outermost(paths: Iterator[Path]) -> list[Path]:
    """The paths that do not lie in another of them, in order."""
    wanted = list(dict.fromkeys(paths))
    return [path for path in wanted if not any(other != path and other in path.parents for other in wanted)]
