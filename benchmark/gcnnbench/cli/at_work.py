"""Writes one line to stderr where a verb takes longer than a second, so that whoever waits knows that it works."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

PATIENCE = 0.7
"""Seconds after which a verb that is not done is said to be at work."""


@contextmanager
def at_work(command: str) -> Iterator[None]:
    """Write one line to stderr if this takes longer than `PATIENCE` and somebody looks on.

    Args:
        command: what was typed, as `gcnnbench site`.
    """
    timer = Timer(PATIENCE, _say, [f"{command}: at work\n"])
    timer.daemon = True
    if sys.stderr.isatty():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _say(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()
