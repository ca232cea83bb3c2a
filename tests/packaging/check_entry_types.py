"""mypy on the entries whose folders have a hyphen, one at a time: together mypy takes them for one broken package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """End with 1 if any of them fails."""
    files = sorted(path for folder in ("models", "datasets") for path in ROOT.glob(f"{folder}/*-*/*.py"))
    failed = [path for path in files if subprocess.run([sys.executable, "-m", "mypy", path], cwd=ROOT).returncode]
    sys.exit(1 if failed or not files else 0)


if __name__ == "__main__":
    main()
