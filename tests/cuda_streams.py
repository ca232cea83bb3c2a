"""CUDA streams that only note what they are asked to wait for, where there is no GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

import pytest
import torch


class Stream:
    """A stream by its name."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def wait_stream(self, other: Stream) -> None:
        self.log.append(f"{self.name} waits for {other.name}")


class Streams:
    """Stand in for torch's streams: `main` is the default one, those that are made are named a, b, c, …"""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.log = list[str]()
        self.within = [Stream("main", self.log)]
        letters = (chr(ord("a") + place) for place in count())
        monkeypatch.setattr(torch.cuda, "Stream", lambda _=None: Stream(next(letters), self.log))
        monkeypatch.setattr(torch.cuda, "stream", self._on)
        monkeypatch.setattr(torch.cuda, "current_stream", lambda _=None: self.within[-1])
        monkeypatch.setattr(torch.cuda, "default_stream", lambda _=None: self.within[0])

    @property
    def current(self) -> str:
        return self.within[-1].name

    @contextmanager
    def _on(self, stream: Stream) -> Iterator[None]:
        self.within.append(stream)
        yield
        self.within.pop()
