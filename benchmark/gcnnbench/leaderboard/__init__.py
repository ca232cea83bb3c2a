"""Records become boards, and boards become tables."""
