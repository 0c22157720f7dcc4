"""A computation laid out as a chain of states: affine programs between levels of non-linear layers."""
