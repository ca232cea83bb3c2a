"""Claims about a made-up benchmark are judged by a results directory of it."""

from tests.toy_results import honest, study

__all__ = ["honest", "study"]
