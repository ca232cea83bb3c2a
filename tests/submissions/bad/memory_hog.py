"""Takes memory until there is no more, in one process."""

from __future__ import annotations

kept = []
while True:
    kept.append(b"x" * 2**24)
