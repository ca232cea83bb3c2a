"""Draws results as SVG and PNG, byte-identical for the same records."""
