"""Cells: planned, run, kept."""
