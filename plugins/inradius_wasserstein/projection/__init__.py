"""Euclidean projection by a primal-dual interior point."""
