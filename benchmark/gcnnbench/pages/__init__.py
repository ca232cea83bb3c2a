"""Markdown pages made from cards and results."""
