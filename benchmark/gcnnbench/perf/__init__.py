"""Measures the speed of the suite itself: layers, networks, cells and tables, against what they could be."""
