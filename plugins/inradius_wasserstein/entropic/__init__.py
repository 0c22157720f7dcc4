"""Transport with an entropy: Sinkhorn and conjugate Sinkhorn."""
