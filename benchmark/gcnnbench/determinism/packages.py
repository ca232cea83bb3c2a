"""Checks whether the installed torch and torchvision belong together."""

from __future__ import annotations

import importlib
import re
from importlib.metadata import PackageNotFoundError, requires, version


def torchvision_problem() -> str | None:
    """What is wrong between torch and torchvision, and what mends it; null where they work together."""
    try:
        torch, torchvision = version("torch"), version("torchvision")
    except PackageNotFoundError as error:
        return f"{error.name} is not installed: pip install torch torchvision"
    wanted = next((found[1] for line in requires("torchvision") or () if (found := PIN.match(line))), None)
    mend = (
        "install the pair from one index: python -m pip install --force-reinstall -c constraints.txt torch torchvision"
    )
    if wanted is not None and wanted != torch.partition("+")[0]:
        return f"torchvision {torchvision} is built for torch {wanted}, but torch {torch} is installed; {mend}"
    try:
        importlib.import_module("torchvision")
    except (ImportError, RuntimeError) as error:
        told = (str(error).splitlines() or [type(error).__name__])[0]
        return f"torchvision {torchvision} does not load beside torch {torch} ({told}), as builds do not fit; {mend}"
    return None


PIN = re.compile(r"torch\s*\(?==\s*([\d.]+)")
"""`torch==2.12.1` in the requirements that a torchvision wheel states."""
