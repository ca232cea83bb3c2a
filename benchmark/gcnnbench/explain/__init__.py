"""From a cell of a table to its bytes: the counts, records, files and claims that a number comes from."""
