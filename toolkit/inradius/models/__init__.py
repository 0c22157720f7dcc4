"""Models: loading, weights, modes, and checks of their outputs."""
