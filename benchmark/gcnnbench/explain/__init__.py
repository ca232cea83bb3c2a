"""Explains a number of a table: the counts, records, files and claims that it comes from."""
