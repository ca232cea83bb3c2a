"""Figures of results: what is drawn, in one style, the same bytes each time."""
