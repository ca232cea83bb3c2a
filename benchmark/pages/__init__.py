"""Pages made from cards and results."""
