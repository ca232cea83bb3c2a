"""Fills its scratch folder with empty files, which no limit on bytes counts."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path

from .honest import build as build

for number in count():
    (Path(os.environ["TMPDIR"]) / str(number)).touch()
