"""Scoring a trained network: the conditions it is scored under, metrics from counts, and multiply-accumulates."""
