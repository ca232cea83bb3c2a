"""The benchmark of the benchmark: how fast its layers, networks, cells and tables are, against what they could be."""
