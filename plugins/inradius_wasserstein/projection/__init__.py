"""Euclidean projection on a Wasserstein ball by a primal-dual interior point."""
