"""Cells of training and scoring: planned, run, and kept as records."""
