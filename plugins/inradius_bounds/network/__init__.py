"""A computation as a graph of nodes, with the bounds of their values and of the rounding errors."""
