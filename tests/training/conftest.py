"""The recipe of a benchmark of seconds."""

from tests.tiny_benchmark import tiny_registry

__all__ = ["tiny_registry"]
