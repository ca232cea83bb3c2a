"""Cells of a benchmark of seconds."""

from tests.tiny_benchmark import make_cell, tiny_card, tiny_registry

__all__ = ["make_cell", "tiny_card", "tiny_registry"]
