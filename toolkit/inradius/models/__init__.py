"""Models: loading, weights, modes, and what is checked of their outputs."""
