"""Exact or approximate: error measures, the grid, the certificate, the numeric decision and the audit."""
