"""Oracles of an intersection of convex sets, from those of its members."""
