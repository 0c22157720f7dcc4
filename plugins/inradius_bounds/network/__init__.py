"""A computation as a graph of layers, steps and joins, and what is known of its values."""
