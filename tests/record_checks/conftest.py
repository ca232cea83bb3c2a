"""What is checked is a results directory of a made-up benchmark."""

from tests.toy_results import honest, study

__all__ = ["honest", "study"]
