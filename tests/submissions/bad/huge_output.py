"""Prints without end."""

from __future__ import annotations

import os

line = b"x" * 2**20
while True:
    os.write(1, line)
