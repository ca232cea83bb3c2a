"""Takes memory until there is no more, and fails with an error that says nothing of it, as extensions may."""

from __future__ import annotations

kept = []
try:
    while True:
        kept.append(b"x" * 2**24)
except MemoryError:
    kept.clear()
raise SystemError("error return without exception set")
