"""Rewritten networks are compared in float64, from a fixed seed."""

from tests.layers_in_double import double_precision_and_a_seed

__all__ = ["double_precision_and_a_seed"]
