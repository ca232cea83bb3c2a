"""Checks of our own records: recomputed, re-scored and re-trained, each with its grade."""
