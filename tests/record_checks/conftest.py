"""What is checked is a results directory: of a made-up benchmark, or of a small network that is really trained."""

from tests.toy_results import honest, study
from tests.trained_records import results, trained

__all__ = ["honest", "results", "study", "trained"]
