"""Affine steps of a computation, one kind a file, each with its interval and its adjoint."""
