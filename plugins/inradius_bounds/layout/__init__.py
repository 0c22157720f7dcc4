"""A computation written as a chain of layers: affine blocks with levels of non-linear layers between them."""
