"""mypy on the entries whose folders have a hyphen, in copies with an underscore: such a folder is no package's name."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIES = ROOT / ".mypy_cache" / "entries"
"""Always there: mypy remembers what it found by a file's name."""


def main() -> None:
    """Print what mypy finds under the files' own names; end with its code, or with 1 where there is no such entry."""
    files = sorted(path for folder in ("models", "datasets") for path in ROOT.glob(f"{folder}/*-*/*.py"))
    copies = {COPIES / str(path.relative_to(ROOT)).replace("-", "_"): path for path in files}
    shutil.rmtree(COPIES, ignore_errors=True)
    for copy, path in copies.items():
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *copies],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(COPIES)},
        stdout=subprocess.PIPE,
        text=True,
    )
    for copy, path in copies.items():
        done.stdout = done.stdout.replace(str(copy.relative_to(ROOT)), str(path.relative_to(ROOT)))
    sys.stdout.write(done.stdout)
    sys.exit(done.returncode or not files)


if __name__ == "__main__":
    main()
