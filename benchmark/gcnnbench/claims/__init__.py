"""Published numbers, curves and statements, and what our records say about each."""
