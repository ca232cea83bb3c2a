"""Puts its own cross entropy in the place of torch's, as if it were a trainer."""

from __future__ import annotations

from torch.nn import functional

from .honest import build as build

_entropy = functional.cross_entropy
functional.cross_entropy = lambda *arguments, **options: 2 * _entropy(*arguments, **options)
