"""Check what the built wheel and sdist hold; run by tox after the build, where no torch is installed."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def expected() -> set[str]:
    """Every file of the package, with models and datasets moved into it, as git would have it in the wheel."""
    found = set()
    for folder, target in (
        ("benchmark/gcnnbench", "gcnnbench"),
        ("models", "gcnnbench/models"),
        ("datasets", "gcnnbench/datasets"),
    ):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found.add(f"{target}/{path.relative_to(ROOT / folder).as_posix()}")
    return found


def main(dist: Path) -> None:
    """Compare both archives with the checkout and end with an error that names the first differences."""
    (wheel,), (sdist,) = dist.glob("*.whl"), dist.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    if "gcnnbench/py.typed" not in held:
        sys.exit(f"{wheel.name}: lacks gcnnbench/py.typed, without which type checkers pass it over")
    if held != expected():
        sys.exit(f"{wheel.name}: lacks {sorted(expected() - held)[:5]}, has too much {sorted(held - expected())[:5]}")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    needed = {
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "tox.ini",
        "constraints.txt",
        "benchmark/gcnnbench/__init__.py",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
    }
    needed |= {path.relative_to(ROOT).as_posix() for path in ROOT.glob("docs/*.md")}
    needed |= {f"models/{path.parent.name}/model.yaml" for path in ROOT.glob("models/*/model.yaml")}
    if lacking := sorted(needed - names):
        sys.exit(f"{sdist.name}: lacks {lacking}")
    sys.stdout.write(f"{wheel.name}: {len(held)} files; {sdist.name}: {len(names)} files\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
